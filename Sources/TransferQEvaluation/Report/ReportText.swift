import TransferQ
import TransferQRuntime

/// What a report says in words, in Markdown and in CSV.
struct ReportText {
    let run: RunContents
    let figures: ReportFigures

    init(_ run: RunContents, _ figures: ReportFigures) {
        (self.run, self.figures) = (run, figures)
    }

    private var seeds: Int { Set(run.answers.map(\.seed)).count }

    var subtitle: String {
        func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        let counts = [
            count(run.methods.count, "method"), count(run.prompts.count, "prompt"), count(seeds, "seed"),
            count(run.answers.count, "answer"),
        ]
        let shard = run.specification.shard.map { "; part \($0) of the evaluation" } ?? ""
        return counts.joined(separator: ", ") + shard + ". Made with transferq \(run.specification.program), "
            + "\(run.specification.created.prefix(10))."
    }

    var aboutMeans: String {
        "Each figure is a mean over prompts with its 95 % interval"
            + (seeds > 1 ? "; answers to one prompt under several seeds count as one." : ".")
    }

    var aboutDifferences: String {
        "Answers to the same prompt"
            + (seeds > 1 ? " and seed" : "")
            + " are compared. ▲ (better), ▼ (worse) and ≠ (different) stand only where the interval holds no zero."
    }

    /// What gold rewards do along families of methods.
    var findings: [String] {
        figures.frontiers.flatMap { frontier in
            run.goldColumns.flatMap { column in
                frontier.sentences(column.id).map { "\(column.title): \($0)" }
            }
        }
    }

    /// Where the answers come from.
    var origins: [(String, String)] {
        let lines = run.sources.flatMap { name, specification in
            Self.origins(of: specification).map { (run.sources.count > 1 ? "\(name): \($0.0)" : $0.0, $0.1) }
        }
        let approximations = Set(run.answers.flatMap(\.approximations)).sorted()
        let text = approximations.isEmpty ? "none" : approximations.joined(separator: "; ")
        return lines + [("approximations", text)]
    }

    private static func origins(of run: RunSpecification) -> [(String, String)] {
        let (spec, machine) = (run.specification, run.machine)
        var lines: [(String, String)] = [
            ("prompts", spec.prompts.file), ("model", spec.model?.name ?? "the demonstration model"),
        ]
        let rewards = spec.scoring.reward?.terms ?? []
        if !rewards.isEmpty { lines.append(("guiding reward", rewards.joined(separator: " + "))) }
        for (name, reward) in spec.gold.sorted(by: { $0.key < $1.key }) {
            lines.append(("gold reward \(name)", reward.terms.joined(separator: " + ")))
        }
        return lines + [
            ("seeds", spec.seeds.map(String.init).joined(separator: ", ")),
            ("longest answer", "\(spec.limits.maximumTokens) tokens"),
            ("program", "transferq \(run.program), llama.cpp \(run.llama)"),
            ("machine", "\(machine.processor), \(machine.processors) processors, \(machine.system)"),
            ("begun", run.created),
        ]
    }

    /// Methods but the reference, and the measures that one of them has a difference of.
    var compared: (rows: [EvaluationTable.Row], columns: [EvaluationTable.Column]) {
        let rows = run.table.rows.filter { $0.method != run.table.reference }
        return (rows, run.columns.filter { column in rows.contains { $0.cells[column.id]?.difference != nil } })
    }

    /// What judges said, the head first; nil where none was asked.
    var judgements: [[String]]? {
        guard !run.table.judgements.isEmpty else { return nil }
        func percent(_ value: MeanInterval?) -> String {
            guard let value, value.clusters > 0 else { return "–" }
            let ends = value.range.map { " (\((100 * $0.lowerBound).fixed(1)) to \((100 * $0.upperBound).fixed(1)))" }
            return (100 * value.mean).fixed(1) + (ends ?? "")
        }
        func share(_ share: ShareInterval) -> String {
            share.count == 0 ? "–" : "\((100 * Double(share.hits) / Double(share.count)).fixed(1)) (\(share.text))"
        }
        let head = [
            "method", "against", "won, tied, lost", "win rate, %", "win rate at equal lengths, %", "won or tied, %",
            "verdict changed with the order, %", "first answer preferred, %", "not counted", "judge",
        ]
        return [head]
            + run.table.judgements.map { one in
                [
                    one.method, one.against, "\(one.wins), \(one.ties), \(one.losses)",
                    (one.isDifferent ? (one.winRate.mean > 0.5 ? "▲ " : "▼ ") : "") + percent(one.winRate),
                    percent(one.lengthControlledWinRate), percent(one.winTieRate), share(one.flips),
                    share(one.firstPreferred), "\(one.uncounted)", one.judge,
                ]
            }
    }

    /// - Parameter pictures: whether the SVG files stand beside it.
    func markdown(pictures: Bool) -> String {
        var parts = ["# Evaluation \(Self.escaped(run.name))", subtitle, "## Results", aboutMeans]
        let means = run.table.rows.map { row in
            [row.method] + run.columns.map { Self.text(row.cells[$0.id]?.value, $0.digits, signed: false) }
        }
        parts.append(Self.table([["method"] + run.columns.map(\.title)] + means))
        parts += run.table.notes.map(Self.escaped)
        let (rows, columns) = compared
        if !columns.isEmpty {
            let differences = rows.map { row in
                [row.method]
                    + columns.map { column in
                        let difference = row.cells[column.id]?.difference
                        return Self.mark(difference, column) + Self.text(difference?.value, column.digits, signed: true)
                    }
            }
            parts += [
                "## Differences to \(Self.escaped(run.table.reference))", aboutDifferences,
                Self.table([["method"] + columns.map(\.title)] + differences),
            ]
        }
        if let judgements { parts += ["## Judgements", Self.table(judgements)] }
        if !findings.isEmpty {
            parts += ["## Over-optimisation", findings.map { "- \(Self.escaped($0))" }.joined(separator: "\n")]
        }
        if pictures {
            parts.append("## Figures")
            parts += figures.all.map { figure in
                let title = Self.escaped(figure.title)
                return "### \(title)\n\n\(Self.escaped(figure.summary))\n\n![\(title)](\(figure.id).svg)"
            }
        }
        parts += ["## How it was made", origins.map { "- \($0.0): \(Self.escaped($0.1))" }.joined(separator: "\n")]
        return parts.joined(separator: "\n\n") + "\n"
    }

    /// In front of a difference that may be called one.
    static func mark(_ difference: EvaluationTable.Difference?, _ column: EvaluationTable.Column) -> String {
        guard let difference, difference.isDifferent else { return "" }
        switch column.better {
        case .neither: return "\u{2260} "
        case .higher: return difference.value.mean > 0 ? "▲ " : "▼ "
        case .lower: return difference.value.mean < 0 ? "▲ " : "▼ "
        }
    }

    private static func text(_ value: MeanInterval?, _ digits: Int, signed: Bool) -> String {
        guard let value else { return "–" }
        let mean = value.mean.figure(digits, signed: signed)
        guard let range = value.range else { return mean }
        return
            "\(mean) (\(range.lowerBound.figure(digits, signed: signed)) to \(range.upperBound.figure(digits, signed: signed)))"
    }

    private static func table(_ rows: [[String]]) -> String {
        let lines = rows.map { "| " + $0.map(escaped).joined(separator: " | ") + " |" }
        let rule = "|" + rows[0].indices.map { $0 == 0 ? " --- |" : " ---: |" }.joined()
        return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n")
    }

    /// Names as they are, whatever they hold; emphasis that this file writes itself stays.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for letter in text {
            switch letter {
            case "|", "\\", "`", "_", "[", "]", "#": result += "\\\(letter)"
            case "<": result += "&lt;"
            case "&": result += "&amp;"
            case _ where letter.isNewline: result += " "
            default: result.append(letter)
            }
        }
        return result
    }
}
