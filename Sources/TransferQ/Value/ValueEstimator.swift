/// Estimates Q(s, z) for candidates z after a response.
public protocol ValueEstimator: Sendable {
    /// One estimate per token, in order.
    func estimates(for tokens: [Token], in state: DecodingState) async throws -> ValueEstimates
}

/// Q̂(s, z) and what it was computed from.
public struct ValueEstimate: Sendable {
    /// In units of reward; finite.
    public var value: Double
    public var rollouts: [ScoredRollout]
}

/// Estimates of one step, with their cost.
public struct ValueEstimates: Sendable {
    public var estimates: [ValueEstimate]
    public var usage: Usage
}
