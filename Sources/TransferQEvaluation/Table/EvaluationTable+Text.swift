import TransferQ

extension EvaluationTable {
    /// For a terminal: measures in rows, methods in columns; means, then differences to the reference.
    public var text: String {
        guard !rows.isEmpty else { return "no answers yet" }
        var blocks = [means]
        if rows.contains(where: { $0.method != reference }) { blocks.append(differences) }
        if !judgements.isEmpty { blocks.append(JudgementSummary.text(judgements)) }
        return (blocks + notes).joined(separator: "\n\n")
    }

    private var means: String {
        let head = ["mean ± half of the 95 % interval"] + rows.map(\.method)
        let sizes = ["prompts (answers)"] + rows.map { "\($0.prompts) (\($0.answers))" }
        let isOther = rows.contains { $0.klKind != nil && $0.klKind != .divergence }
        let lines = shown.flatMap { column in
            let means = rows.map { row in row.cells[column.id].map { Self.cell($0.value, column) } ?? "–" }
            let kinds = ["  as"] + rows.map { $0.klKind.map(Self.name) ?? "–" }
            return [[column.title] + means] + (column.id == "kl" && isOther ? [kinds] : [])
        }
        return TextTable.text([head, sizes] + lines)
    }

    private var differences: String {
        let others = rows.filter { $0.method != reference }
        let head = ["difference to \(reference), paired by prompt"] + others.map(\.method)
        var lines: [[String]] = []
        for column in shown where others.contains(where: { $0.cells[column.id]?.difference != nil }) {
            lines.append(
                [column.title]
                    + others.map { row in
                        guard let difference = row.cells[column.id]?.difference else { return "–" }
                        let star = difference.isDifferent ? " *" : "  "
                        return Self.cell(difference.value, column, signed: true) + star
                    })
            guard column.id == "reward" || column.id.hasPrefix("gold:") else { continue }
            lines.append(
                ["  won, tied, lost"]
                    + others.map { row in
                        guard let difference = row.cells[column.id]?.difference, let wins = difference.wins,
                            let ties = difference.ties, let losses = difference.losses
                        else { return "–" }
                        return "\(wins), \(ties), \(losses)  "
                    })
        }
        return TextTable.text([head] + lines) + "\n* the 95 % interval excludes zero"
    }

    /// Measures that some method has values of.
    private var shown: [Column] { columns.filter { column in rows.contains { $0.cells[column.id] != nil } } }

    private static func cell(_ interval: MeanInterval, _ column: Column, signed: Bool = false) -> String {
        let mean = interval.mean.fixed(column.digits, signed: signed)
        guard let high = interval.high else { return mean }
        return "\(mean) ±\((high - interval.mean).fixed(column.digits))"
    }

    private static func name(_ kind: KLKind) -> String {
        switch kind {
        case .divergence: "divergence"
        case .boundOverSkippedValues: "bound (values left out)"
        case .boundOfMethod: "method's bound"
        case .pointMass: "point mass"
        }
    }
}
