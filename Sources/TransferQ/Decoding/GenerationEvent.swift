/// What a ``Generation`` yields: steps, then one summary.
public enum GenerationEvent: Sendable {
    case step(DecodingStep)
    case finished(GenerationSummary)
}

/// One decision of the loop.
public struct DecodingStep: Sendable {
    /// t, from 0.
    public let index: Int
    /// Text that the step completed; whole characters, possibly none. What may be the beginning of a stop string is held
    /// back until it turns out to be none.
    public internal(set) var text: String
    public let decision: Decision
    /// Σ KL over the steps so far, nats; nil when a step had none.
    public let cumulativeKL: Double?
    /// What `cumulativeKL` is.
    public let cumulativeKLKind: KLKind
}

/// What a generation came to.
public struct GenerationSummary: Sendable {
    /// The answer as text, which ends before a stop string.
    public let response: String
    /// The response without its end token; what completes a stop string is no part of it.
    public let tokens: [Token]
    public let finishReason: FinishReason
    /// The target reward of the response; nil without a reward.
    public let reward: Double?
    /// What each part of a summed reward adds; empty for a reward without parts.
    public let rewardParts: [Double]
    /// Σ_t KL(π_alg ‖ π_sft) along the response, nats: an unbiased estimate of KL(ρ_alg ‖ ρ_sft) (theory.md
    /// section 8), or what `klKind` says instead; nil when the method has neither.
    public let kl: Double?
    public let klKind: KLKind
    public let diagnostics: Diagnostics
    public let usage: Usage
}
