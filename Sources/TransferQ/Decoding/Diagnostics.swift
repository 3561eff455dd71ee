/// How far the values of an answer can be trusted: means over its steps.
public struct Diagnostics: Sendable {
    private var sums: [Key: (sum: Double, count: Int)] = [:]

    private enum Key: Hashable { case effectiveSampleSize, rewardSpread, outsideProbability }

    public init() {}

    /// Mean effective sample size of the candidates' rollouts; nil without rollouts.
    public var effectiveSampleSize: Double? { mean(.effectiveSampleSize) }
    /// Mean standard deviation of the rewards among one candidate's rollouts; nil for single rollouts.
    public var rewardSpread: Double? { mean(.rewardSpread) }
    /// Mean probability of all tokens outside the candidate set; nil for methods without one.
    public var outsideProbability: Double? { mean(.outsideProbability) }

    mutating func add(_ decision: Decision) {
        for candidate in decision.candidates {
            add(candidate.effectiveSampleSize, to: .effectiveSampleSize)
            add(candidate.rewardSpread, to: .rewardSpread)
        }
        add(decision.outsideProbability, to: .outsideProbability)
    }

    private mutating func add(_ value: Double?, to key: Key) {
        guard let value else { return }
        let (sum, count) = sums[key] ?? (0, 0)
        sums[key] = (sum + value, count + 1)
    }

    private func mean(_ key: Key) -> Double? { sums[key].map { $0.sum / Double($0.count) } }
}
