import TransferQ

/// Comma-separated values after RFC 4180.
package enum CSVText {
    /// Rows as lines. A text that a spreadsheet would take for a formula gets an apostrophe in front.
    package static func lines(_ rows: [[String]]) -> String {
        rows.map { row in
            row.map { cell in
                var cell = cell
                if let first = cell.first, "=+-@\t\r".contains(first), Double(cell) == nil { cell = "'" + cell }
                guard cell.contains(where: { ",\"".contains($0) || $0.isNewline }) else { return cell }
                return "\"\(cell.replacing("\"", with: "\"\""))\""
            }.joined(separator: ",")
        }.joined(separator: "\r\n") + "\r\n"
    }
}

extension ReportText {
    /// Every figure of the tables, one a line.
    func tableCSV() -> String {
        var rows = [
            [
                "method", "column", "mean", "low", "high", "prompts", "difference", "differenceLow", "differenceHigh",
                "differencePrompts", "wins", "ties", "losses", "isDifferent",
            ]
        ]
        func cells(_ value: MeanInterval?) -> [String] {
            guard let value else { return ["", "", "", ""] }
            return [
                "\(value.mean)", value.low.map { "\($0)" } ?? "", value.high.map { "\($0)" } ?? "", "\(value.clusters)",
            ]
        }
        for row in run.table.rows {
            for column in run.columns {
                guard let cell = row.cells[column.id] else { continue }
                let difference = cell.difference
                let counts = [difference?.wins, difference?.ties, difference?.losses].map { $0.map { "\($0)" } ?? "" }
                rows.append(
                    [row.method, column.id] + cells(cell.value) + cells(difference?.value) + counts
                        + [difference.map { "\($0.isDifferent)" } ?? ""])
            }
        }
        return CSVText.lines(rows)
    }

    /// Every figure of every answer, an answer a line.
    func answersCSV() -> String {
        let head = ["answer", "prompt", "method", "seed", "finish"] + run.answerColumns.map(\.id)
        return CSVText.lines(
            [head]
                + run.answers.map { answer in
                    [answer.answer, "\(answer.prompt + 1)", answer.method, "\(answer.seed)", answer.finish.rawValue]
                        + run.answerColumns.map { run.values.value($0.id, of: answer).map { "\($0)" } ?? "" }
                })
    }
}
