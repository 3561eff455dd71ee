/// A continuation that a policy wrote after a prefix: τ in Q(s, z) = E[r([s, z, τ])].
public struct Rollout: Hashable, Sendable {
    /// The tokens after the prefix, the end token included when there is one.
    public var tokens: [Token]

    /// log ρ(tokens | prompt, response, prefix) in nats under the policy itself, whatever the sampling was; ≤ 0.
    public var logProbability: Double

    /// `stop` when the policy ended the response, `length` when the horizon did.
    public var finishReason: FinishReason

    /// The policy's states over response, prefix and tokens, when they were asked for and the policy offers them.
    public var state: PooledState?

    public init(
        tokens: [Token], logProbability: Double, finishReason: FinishReason, state: PooledState? = nil
    ) {
        self.tokens = tokens
        self.logProbability = logProbability
        self.finishReason = finishReason
        self.state = state
    }
}

/// Why a response or a rollout ended.
public enum FinishReason: String, Codable, Sendable {
    /// The end token was chosen.
    case stop
    /// The longest allowed length was reached.
    case length
    /// The caller cancelled.
    case cancelled
    /// A model or a reward failed; the response is what there was.
    case failed
}

/// Continuations wanted of a policy, to be made together.
public struct RolloutRequest: Sendable {
    /// The response so far.
    public var response: [Token]

    /// Tokens to put after the response, one entry a branch; an entry may be empty.
    public var prefixes: [[Token]]

    /// Rollouts per prefix, N ≥ 1.
    public var count: Int

    /// Most tokens after a prefix, ≥ 0.
    public var maximumLength: Int

    /// How a rollout chooses its tokens.
    public var sampling: Sampling

    /// Source of randomness, already derived from seed and step. Rollout n of a prefix draws position i from
    /// `noise(prefix tokens …)(n)(i)`.
    public var noise: Noise

    /// Whether rollouts shall carry their ``Rollout/state``.
    public var wantsStates: Bool

    public init(
        response: [Token], prefixes: [[Token]], count: Int, maximumLength: Int, sampling: Sampling, noise: Noise,
        wantsStates: Bool = false
    ) {
        self.response = response
        self.prefixes = prefixes
        self.count = count
        self.maximumLength = maximumLength
        self.sampling = sampling
        self.noise = noise
        self.wantsStates = wantsStates
    }

    /// The randomness of one rollout.
    public func noise(prefix: [Token], rollout: Int) -> Noise {
        prefix.reduce(noise) { $0.derived(Int($1)) }.derived(-1 - rollout)
    }
}
