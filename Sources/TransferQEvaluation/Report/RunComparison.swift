import TransferQ
import TransferQRuntime

extension RunContents {
    /// Several runs as one, so that the methods of all are compared: methods are called `RUN: METHOD`, and answers to the
    /// same conversation under the same seed are pairs, whatever their places in the files.
    ///
    /// Only rewards that all runs computed with the same files are kept: a guiding reward that differs, or a gold reward of
    /// the same name that does, is no common measure.
    ///
    /// - Parameters:
    ///   - runs: at least one, with different names.
    ///   - reference: `RUN: METHOD` that differences are counted against; the first run's where nil.
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` for two runs of one name, runs without a prompt in common, and an
    ///   unknown reference.
    public static func joined(_ runs: [RunContents], reference: String? = nil) throws -> (
        run: RunContents, notes: [String]
    ) {
        guard let first = runs.first else { throw EvaluationError.unusableOutput("name at least one run") }
        guard Set(runs.map(\.name)).count == runs.count else {
            throw EvaluationError.unusableOutput("two runs have the same name, \(runs.map(\.name)); rename a folder")
        }
        var places: [String: Int] = [:]
        let common = runs.dropFirst().reduce(Set(first.answers.map(\.promptHash))) { shared, run in
            shared.intersection(run.answers.map(\.promptHash))
        }
        guard !common.isEmpty else {
            throw EvaluationError.unusableOutput(
                "the runs answer no prompt in common, so nothing can be paired; compare runs over the same prompts")
        }
        var notes: [String] = []
        let all = Set(runs.flatMap { $0.answers.map(\.promptHash) })
        if all.count > common.count {
            notes.append("\(common.count) of \(all.count) prompts were answered in every run; the others are left out")
        }
        let isGuideShared = runs.allSatisfy { $0.guide == first.guide }
        if !isGuideShared { notes.append("the runs' guiding rewards differ, so they are left out") }
        var gold = Set(first.goldSettings.keys)
        for run in runs.dropFirst() { gold.formIntersection(run.goldSettings.keys) }
        for name in gold.sorted() where !runs.allSatisfy({ $0.goldSettings[name] == first.goldSettings[name] }) {
            gold.remove(name)
            notes.append("the gold reward \(name) is not the same in all runs, so it is left out")
        }
        var specification = first.specification
        specification.specification.methods = []
        specification.settings.groups = [:]
        var answers: [AnswerLine] = []
        var (goldLines, metricLines): ([ValueLine], [ValueLine]) = ([], [])
        for run in runs {
            let settings = run.specification.settings
            for entry in run.specification.specification.methods {
                specification.settings.groups[RunSettings.method(Self.label(run, entry.label))] =
                    settings.parameters(of: entry.label)
                specification.specification.methods.append(
                    try MethodEntry(
                        entry.method, label: Self.label(run, entry.label),
                        // Methods of different runs are no family of settings.
                        baseline: Self.label(run, entry.baseline ?? ""), seeds: entry.seeds))
            }
            // A line of its own run's answers: in two runs the same answer has the same key.
            func renamed(_ line: ValueLine) -> ValueLine {
                ValueLine(answer: Self.label(run, line.answer), name: line.name, value: line.value)
            }
            goldLines += run.gold.filter { gold.contains($0.name) }.map(renamed)
            metricLines += run.metrics.map(renamed)
            for var answer in run.answers where common.contains(answer.promptHash) {
                let key = Self.label(run, answer.answer)
                answer.prompt = places[answer.promptHash, default: places.count]
                places[answer.promptHash] = answer.prompt
                answer.answer = key
                answer.method = Self.label(run, answer.method)
                if !isGuideShared { answer.reward = nil }
                answers.append(answer)
            }
        }
        specification.specification.gold = first.specification.specification.gold.filter { gold.contains($0.key) }
        let chosen = reference ?? Self.label(first, first.table.reference)
        guard specification.specification.methods.contains(where: { $0.label == chosen }) else {
            throw EvaluationError.unusableOutput(
                "no method is called \"\(chosen)\"; it is one of "
                    + specification.specification.methods.map { "\"\($0.label)\"" }.joined(separator: ", "))
        }
        specification.specification.reference = chosen
        let run = try RunContents(
            name: runs.map(\.name).joined(separator: ", "), specification: specification, answers: answers,
            gold: goldLines, metrics: metricLines, sources: runs.map { ($0.name, $0.specification) })
        return (run, notes)
    }

    private static func label(_ run: RunContents, _ name: String) -> String { "\(run.name): \(name)" }

    /// What the guiding reward depends on: its terms, and the content of the files.
    private var guide: [[String: String]?] {
        [specification.settings.groups["rewards"], specification.settings.groups["files"]]
    }

    /// The same of gold rewards by name.
    private var goldSettings: [String: [String: String]] {
        Dictionary(
            uniqueKeysWithValues: specification.specification.gold.map { name, reward in
                (
                    name,
                    specification.settings.groups["gold \(name)"] ?? ["terms": reward.terms.joined(separator: " + ")]
                )
            })
    }
}
