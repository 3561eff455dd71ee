public import TransferQ

/// What a judge said of one method against another.
///
/// A pair counts when it was judged in both orders and both replies could be read. It is won when both orders say so; a verdict
/// that depends on the order is a tie.
public struct JudgementSummary: Codable, Sendable {
    public let judge: String
    /// The label of the method that is judged, and of the one that it is judged against.
    public let method: String
    public let against: String
    public let wins: Int
    public let ties: Int
    public let losses: Int
    /// Share of wins, ties counted half, over prompts; 0 to 1.
    public let winRate: MeanInterval
    /// Share of wins and ties, as the papers give it.
    public let winTieRate: MeanInterval
    /// ``LengthControl``; nil without a pair.
    public let lengthControlledWinRate: MeanInterval?
    /// How often the verdict changed with the order.
    public let flips: ShareInterval
    /// How often the answer that stood first got more points, of all replies that gave one of them more.
    public let firstPreferred: ShareInterval
    /// Mean points, 1 to 10, over both orders.
    public let score: MeanInterval
    public let scoreAgainst: MeanInterval
    /// Pairs that do not count, because a reply could not be read or an order was not asked yet.
    public let uncounted: Int

    /// One for each judge and method, in the order of `methods`.
    static func all(
        _ lines: [JudgementLine], answers: [AnswerLine], methods: [String]
    ) -> [JudgementSummary] {
        let byKey = Dictionary(answers.map { ($0.answer, $0) }, uniquingKeysWith: { first, _ in first })
        struct Group: Hashable {
            let judge: String
            let method: String
            let against: String
        }
        let groups = Dictionary(grouping: lines.filter { byKey[$0.a] != nil && byKey[$0.b] != nil }) { line in
            Group(judge: line.judge, method: byKey[line.a]?.method ?? "", against: byKey[line.b]?.method ?? "")
        }
        let order = Dictionary(uniqueKeysWithValues: methods.enumerated().map { ($1, $0) })
        return groups.sorted { left, right in
            (left.key.judge, order[left.key.method] ?? .max, left.key.against)
                < (right.key.judge, order[right.key.method] ?? .max, right.key.against)
        }.map { group, lines in
            JudgementSummary(lines, byKey, judge: group.judge, method: group.method, against: group.against)
        }
    }

    private init(
        _ lines: [JudgementLine], _ answers: [String: AnswerLine], judge: String, method: String, against: String
    ) {
        var (prompts, outcomes, lengths): ([Int], [Double], [Double]) = ([], [], [])
        var (scores, others): ([Double], [Double]) = ([], [])
        var (flips, uncounted, first, decided) = (0, 0, 0, 0)
        let pairs = Dictionary(grouping: lines) { [$0.a, $0.b] }.sorted { left, right in
            (left.key[0], left.key[1]) < (right.key[0], right.key[1])
        }
        for (key, lines) in pairs {
            let verdicts = JudgementLine.Order.allCases.compactMap { order in
                lines.first { $0.order == order }.flatMap { line in
                    line.scoreA.flatMap { a in line.scoreB.map { (order: order, a: a, b: $0) } }
                }
            }
            guard verdicts.count == 2, let a = answers[key[0]], let b = answers[key[1]] else {
                uncounted += 1
                continue
            }
            for verdict in verdicts where verdict.a != verdict.b {
                decided += 1
                if (verdict.order == .ab) == (verdict.a > verdict.b) { first += 1 }
            }
            let signs = verdicts.map { $0.a > $0.b ? 1.0 : $0.a < $0.b ? 0.0 : 0.5 }
            if signs[0] != signs[1] { flips += 1 }
            outcomes.append(signs[0] == signs[1] ? signs[0] : 0.5)
            prompts.append(a.prompt)
            lengths.append(Double(a.response.unicodeScalars.count - b.response.unicodeScalars.count))
            scores.append((verdicts[0].a + verdicts[1].a) / 2)
            others.append((verdicts[0].b + verdicts[1].b) / 2)
        }
        self.judge = judge
        self.method = method
        self.against = against
        wins = outcomes.count { $0 == 1 }
        ties = outcomes.count { $0 == 0.5 }
        losses = outcomes.count { $0 == 0 }
        winRate = MeanInterval(shares: outcomes, clusters: prompts)
        winTieRate = MeanInterval(shares: outcomes.map { $0 > 0 ? 1 : 0 }, clusters: prompts)
        lengthControlledWinRate = LengthControl.interval(outcomes: outcomes, lengths: lengths, prompts: prompts)
        self.flips = ShareInterval(flips, of: outcomes.count)
        firstPreferred = ShareInterval(first, of: decided)
        score = MeanInterval(scores, clusters: prompts)
        scoreAgainst = MeanInterval(others, clusters: prompts)
        self.uncounted = uncounted
    }

    /// Whether the win rate's interval excludes one half; only then one of the two may be called the better.
    public var isDifferent: Bool { (winRate.low ?? 0) > 0.5 || (winRate.high ?? 1) < 0.5 }

    static func text(_ summaries: [JudgementSummary]) -> String {
        func percent(_ interval: MeanInterval?) -> String {
            guard let interval, interval.clusters > 0 else { return "–" }
            let mean = (100 * interval.mean).fixed(1)
            guard let low = interval.low, let high = interval.high else { return mean }
            return "\(mean) (\((100 * low).fixed(1)) to \((100 * high).fixed(1)))"
        }
        func share(_ share: ShareInterval) -> String {
            share.count == 0 ? "–" : (100 * Double(share.hits) / Double(share.count)).fixed(1)
        }
        let head = [
            "judged", "against", "won, tied, lost", "win rate, %", "at equal lengths, %", "win or tie, %",
            "points", "flips, %", "first preferred, %", "not counted",
        ]
        let lines = summaries.map { summary in
            [
                summary.method, summary.against, "\(summary.wins), \(summary.ties), \(summary.losses)",
                percent(summary.winRate) + (summary.isDifferent ? " *" : "  "),
                percent(summary.lengthControlledWinRate),
                percent(summary.winTieRate),
                summary.score.clusters == 0
                    ? "–" : "\(summary.score.mean.fixed(2)) : \(summary.scoreAgainst.mean.fixed(2))",
                share(summary.flips), share(summary.firstPreferred), "\(summary.uncounted)",
            ]
        }
        let judges = Set(summaries.map(\.judge)).sorted().joined(separator: ", ")
        return TextTable.text([head] + lines) + "\njudge: " + judges
    }
}
