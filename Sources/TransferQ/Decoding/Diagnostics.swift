/// How far the values of an answer can be trusted: means over its steps.
public struct Diagnostics: Sendable {
    private var sums: [Key: (sum: Double, count: Int)] = [:]

    private enum Key: Hashable {
        case effectiveSampleSize, rewardSpread, outsideProbability, evaluated, certified, gated, expectedError
    }

    /// Steps in which candidates that `confidence` had left out were evaluated to check, and those of them in which one
    /// was better than the choice.
    public private(set) var audited = 0
    public private(set) var auditMisses = 0
    /// How often leaving out was wrong in a step that was checked, with what that tells of how often it is; nil without
    /// a check.
    public var auditMissRate: ShareInterval? { audited > 0 ? ShareInterval(auditMisses, of: audited) : nil }
    /// A value outside of the range that the user stated for the reward.
    public private(set) var outsideRange: Double?

    public init() {}

    /// Mean effective sample size of the candidates' rollouts; nil without rollouts.
    public var effectiveSampleSize: Double? { mean(.effectiveSampleSize) }
    /// Mean standard deviation of the rewards among one candidate's rollouts; nil for single rollouts.
    public var rewardSpread: Double? { mean(.rewardSpread) }
    /// Mean probability of all tokens outside the candidate set; nil for methods without one.
    public var outsideProbability: Double? { mean(.outsideProbability) }

    /// Mean number of candidates whose values were known when a step was decided; nil for methods that do not search.
    public var evaluatedCandidates: Double? { mean(.evaluated) }
    /// Share of steps that no other candidate than the likeliest had to be looked at for.
    public var certifiedShare: Double? { mean(.certified) }
    /// Share of steps that a gate decided.
    public var gatedShare: Double? { mean(.gated) }
    /// Mean chance that a step chose another token than the full search would have, by the model of differences.
    public var expectedError: Double? { mean(.expectedError) }

    mutating func add(_ decision: Decision) {
        if let search = decision.search {
            add(Double(search.evaluated), to: .evaluated)
            add(search.isCertified ? 1 : 0, to: .certified)
            add(search.isGated ? 1 : 0, to: .gated)
            add(search.expectedError, to: .expectedError)
            audited += search.audited
            auditMisses += search.auditMisses
            outsideRange = search.outsideRange ?? outsideRange
        }
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
