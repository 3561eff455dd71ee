/// Estimates Q(s, z) for candidates z after a response; a candidate is one token, or a block of them.
public protocol ValueEstimator: Sendable {
    /// One estimate per candidate, in order.
    func estimates(for candidates: [[Token]], in state: DecodingState) async throws -> ValueEstimates
}

/// Q̂(s, z) and what it was computed from.
public struct ValueEstimate: Sendable {
    /// In units of reward; finite.
    public var value: Double
    public var rollouts: [ScoredRollout]
    /// See ``ScoredCandidate/effectiveSampleSize``.
    public var effectiveSampleSize: Double?

    public init(value: Double, rollouts: [ScoredRollout] = [], effectiveSampleSize: Double? = nil) {
        self.value = value
        self.rollouts = rollouts
        self.effectiveSampleSize = effectiveSampleSize
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
