import TransferQ

/// The answers of a run with all that was measured of them.
struct MeasuredAnswers {
    private let byMethod: [String: [AnswerLine]]
    /// By answer and name.
    private let gold: [String: [String: Double]]
    private let metrics: [String: [String: Double]]

    init(_ answers: [AnswerLine], gold: [ValueLine], metrics: [ValueLine]) {
        var known: Set<AnswerPlace> = []
        byMethod = Dictionary(grouping: answers.filter { known.insert($0.place).inserted }, by: \.method)
        self.gold = Self.table(gold)
        self.metrics = Self.table(metrics)
    }

    private static func table(_ lines: [ValueLine]) -> [String: [String: Double]] {
        lines.reduce(into: [:]) { table, line in
            if let value = line.value { table[line.answer, default: [:]][line.name] = value }
        }
    }

    /// In the order of their prompts and seeds.
    func answers(of method: String) -> [AnswerLine] {
        (byMethod[method] ?? []).sorted { ($0.prompt, $0.seed) < ($1.prompt, $1.seed) }
    }

    /// Nil where the answers have several kinds, or no KL.
    func klKind(of method: String) -> KLKind? {
        let kinds = Set(answers(of: method).filter { $0.kl != nil }.map(\.klKind))
        return kinds.count == 1 ? kinds.first : nil
    }

    // MARK: Cells

    /// - Parameter reference: the method that the difference is to; nil for none.
    func cell(
        _ column: EvaluationTable.Column, of method: String, against reference: String?
    ) -> EvaluationTable.Cell? {
        if let n = distinctSize(column.id) { return distinct(n, of: method, against: reference) }
        let own = measured(column.id, of: method)
        guard !own.isEmpty else { return nil }
        return EvaluationTable.Cell(
            value: MeanInterval(own.map(\.value), clusters: own.map(\.line.prompt)), answers: own.count,
            difference: reference.flatMap { difference(column, own, measured(column.id, of: $0), to: $0) })
    }

    private typealias Measured = (line: AnswerLine, value: Double)

    private func measured(_ id: String, of method: String) -> [Measured] {
        // KL of several kinds has no mean.
        if id == "kl" || id == "klPerToken", klKind(of: method) == nil { return [] }
        return answers(of: method).compactMap { line in value(id, of: line).map { (line, $0) } }
    }

    /// Nil where the answer has none.
    func value(_ id: String, of line: AnswerLine) -> Double? {
        let value: Double? =
            switch id {
            case "reward": line.reward
            case "kl": line.kl
            case "klPerToken": line.klPerToken
            case "differs": line.differs
            case "referencePerplexity": line.referencePerplexity
            case "length": Double(line.length)
            case "tokens": Double(line.tokens.count)
            case "seconds": line.seconds
            case "rolloutTokens": Double(line.rolloutTokens)
            case "scoredTokens": Double(line.scoredTokens)
            case "modelCalls": Double(line.modelCalls)
            default:
                id.hasPrefix("gold:") ? gold[line.answer]?[String(id.dropFirst(5))] : metrics[line.answer]?[id]
            }
        return value.flatMap { $0.isFinite ? $0 : nil }
    }

    private func difference(
        _ column: EvaluationTable.Column, _ own: [Measured], _ other: [Measured], to reference: String
    ) -> EvaluationTable.Difference? {
        if column.id == "kl" || column.id == "klPerToken", let line = own.first?.line,
            klKind(of: line.method) != klKind(of: reference)
        {
            return nil
        }
        let others = Dictionary(grouping: other, by: \.line.prompt)
        // Prompt by prompt, the mean of this method's answers against the mean of the other's.
        var differences: [Double] = []
        var (wins, ties, losses) = (0, 0, 0)
        for (prompt, mine) in Dictionary(grouping: own, by: \.line.prompt).sorted(by: { $0.key < $1.key }) {
            guard let theirs = others[prompt] else { continue }
            func mean(_ values: [Measured]) -> Double { values.reduce(0) { $0 + $1.value } / Double(values.count) }
            differences.append(mean(mine) - mean(theirs))
            for answer in mine {
                let same = theirs.filter { $0.line.seed == answer.line.seed }
                for rival in same.isEmpty ? theirs : same {
                    let gain = column.better == .lower ? rival.value - answer.value : answer.value - rival.value
                    if gain > 0 { wins += 1 } else if gain < 0 { losses += 1 } else { ties += 1 }
                }
            }
        }
        guard !differences.isEmpty else { return nil }
        let (value, bootstrap) = (MeanInterval(differences), BootstrapInterval(differences))
        let hasDirection = column.better != .neither
        return EvaluationTable.Difference(
            value: value, bootstrap: bootstrap, wins: hasDirection ? wins : nil, ties: hasDirection ? ties : nil,
            losses: hasDirection ? losses : nil, isDifferent: value.excludesZero && bootstrap.excludesZero)
    }

    // MARK: Figures of whole sets

    private func distinctSize(_ id: String) -> Int? {
        id.hasPrefix("distinct-") ? Int(id.dropFirst("distinct-".count)) : nil
    }

    private func distinct(_ n: Int, of method: String, against reference: String?) -> EvaluationTable.Cell? {
        let own = answers(of: method)
        let set = Distinct(n, of: own.map(\.response))
        guard let share = set.share else { return nil }
        let prompts = Set(own.map(\.prompt)).sorted()
        func leftOut(_ set: Distinct, _ lines: [AnswerLine], _ prompt: Int) -> Double? {
            set.share(without: lines.filter { $0.prompt == prompt }.map(\.response))
        }
        let value = MeanInterval(share, leavingOut: prompts.compactMap { leftOut(set, own, $0) })
        var difference: EvaluationTable.Difference?
        if let reference {
            // It falls with the number of answers: only sets on the same prompts compare.
            let others = answers(of: reference)
            let rival = Distinct(n, of: others.map(\.response))
            if Set(others.map(\.prompt)) == Set(prompts), others.count == own.count, let theirs = rival.share {
                let pairs = prompts.compactMap { prompt -> Double? in
                    guard let mine = leftOut(set, own, prompt), let other = leftOut(rival, others, prompt) else {
                        return nil
                    }
                    return mine - other
                }
                let interval = MeanInterval(share - theirs, leavingOut: pairs)
                difference = EvaluationTable.Difference(
                    value: interval, bootstrap: nil, wins: nil, ties: nil, losses: nil,
                    isDifferent: interval.excludesZero)
            }
        }
        return EvaluationTable.Cell(value: value, answers: own.count, difference: difference)
    }
}
