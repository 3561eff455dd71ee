/// Estimates Q(s, z) for candidates z after a response; a candidate is one token, or a block of them.
///
/// One of your own needs ``estimates(for:in:)``; what the other members tell saves work, or keeps it checked.
public protocol ValueEstimator: Sendable {
    /// For messages; the type's name unless it says otherwise.
    var name: String { get }

    /// One estimate per candidate, in order.
    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates

    /// The closed interval that every estimate lies in, when there is one: what pruning by bounds goes by. Its lower end is
    /// −∞ where candidates may be ``ValueEstimate/impossible(rollouts:)``.
    var valueRange: ClosedRange<Double>? { get }

    /// What is known of how values differ before any is.
    func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale

    /// Whether every value is a reward, or the plain mean of some, and so lies in the range that a user states for a reward
    /// that states none.
    var isMeanOfRewards: Bool { get }

    /// How a search may ask for the values in parts; nil for values that are had whole only.
    var rolloutPlan: RolloutPlan? { get }
}

extension ValueEstimator {
    public var name: String { String(describing: Self.self) }
    public var valueRange: ClosedRange<Double>? { nil }
    public var isMeanOfRewards: Bool { false }
    public var rolloutPlan: RolloutPlan? { nil }
    public func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale { ValueScale(slope: calibration.slope) }
}

/// Q̂(s, z) and what it was computed from.
public struct ValueEstimate: Sendable {
    /// In units of reward; finite, or −∞ for an impossible candidate.
    public var value: Double
    public var rollouts: [ScoredRollout]
    /// See ``ScoredCandidate/effectiveSampleSize``.
    public var effectiveSampleSize: Double?
    /// Whether there is no way on from the candidate that the reference does not rule out.
    public private(set) var isImpossible = false

    public init(value: Double, rollouts: [ScoredRollout] = [], effectiveSampleSize: Double? = nil) {
        self.value = value
        self.rollouts = rollouts
        self.effectiveSampleSize = effectiveSampleSize
    }

    /// A candidate that ranks behind every other one. Where all candidates of a step are impossible they count as equally
    /// good, and the tilted policy chooses.
    public static func impossible(rollouts: [ScoredRollout] = []) -> ValueEstimate {
        var estimate = ValueEstimate(
            value: -.infinity, rollouts: rollouts, effectiveSampleSize: rollouts.isEmpty ? nil : 0)
        estimate.isImpossible = true
        return estimate
    }
}

/// Estimates of one step, with their cost.
public struct ValueEstimates: Sendable {
    public var estimates: [ValueEstimate]
    public var usage: Usage

    public init(estimates: [ValueEstimate], usage: Usage = Usage()) {
        self.estimates = estimates
        self.usage = usage
    }
}
