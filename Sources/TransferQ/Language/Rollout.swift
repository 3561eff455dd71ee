/// A continuation that a policy wrote after a prefix: τ in Q(s, z) = E[r([s, z, τ])].
public struct Rollout: Hashable, Sendable {
    /// The tokens after the prefix, the end token included when there is one.
    public var tokens: [Token]

    /// log ρ(token | all before it) in nats of each of `tokens`, under the policy itself, whatever the sampling was.
    public var logProbabilities: [Double]

    /// `stop` when the policy or a constraint ended the response, `length` when the horizon did.
    public var finishReason: FinishReason

    /// The most likely tokens where each of `tokens` was chosen, most likely first, as many as were asked for; fewer lists
    /// than tokens where a beginning was known without them.
    public var candidates: [[Candidate]] = []

    /// The policy's states over response, prefix and tokens, when they were asked for and the policy offers them.
    public var state: PooledState?

    public init(
        tokens: [Token] = [], logProbabilities: [Double] = [], finishReason: FinishReason, state: PooledState? = nil
    ) {
        self.tokens = tokens
        self.logProbabilities = logProbabilities
        self.finishReason = finishReason
        self.state = state
    }

    /// log ρ(tokens | prompt, response, prefix) in nats; ≤ 0.
    public var logProbability: Double { logProbabilities.reduce(0, +) }

    /// The rollout behind its first `count` tokens, cut to `length`: what a greedy policy writes from there on.
    package func dropping(_ count: Int, length: Int) -> Rollout {
        let end = min(tokens.count, count + length)
        var rest = Rollout(
            tokens: Array(tokens[count..<end]), logProbabilities: Array(logProbabilities[count..<end]),
            finishReason: end == tokens.count ? finishReason : .length)
        rest.candidates = Array(candidates.prefix(end).dropFirst(count))
        return rest
    }
}

/// Why a response or a rollout ended.
public enum FinishReason: String, Codable, Sendable {
    /// The end token was chosen, or a constraint such as a stop string ended the answer.
    case stop
    /// The longest allowed length was reached.
    case length
    /// The caller cancelled.
    case cancelled
    /// A model or a reward failed; the response is what there was.
    case failed
    /// The answer's budget of seconds or tokens was spent.
    case budget
}

/// Continuations wanted of a policy, to be made together.
public struct RolloutRequest: Sendable {
    /// Where rollouts begin.
    public struct Start: Sendable {
        /// Tokens after the response; may be empty.
        public var prefix: [Token]

        /// What its rollouts are known to begin with, under deterministic sampling; none when nothing is known.
        public var beginning: Rollout

        /// Most tokens after the prefix, the beginning included, ≥ 0.
        public var maximumLength: Int

        /// Which of the N rollouts are wanted; rollout n draws position i from `noise(-1 − n)(i)`.
        public var numbers: Range<Int>

        /// Source of randomness, derived from seed, step and candidate.
        public var noise: Noise

        public init(
            prefix: [Token], beginning: Rollout = Rollout(finishReason: .length), maximumLength: Int,
            numbers: Range<Int> = 0..<1, noise: Noise
        ) {
            self.prefix = prefix
            self.beginning = beginning
            self.maximumLength = maximumLength
            self.numbers = numbers
            self.noise = noise
        }

        /// The randomness of one rollout.
        public func noise(rollout: Int) -> Noise { noise.derived(-1 - rollout) }
    }

    /// The response so far.
    public var response: [Token]
    public var starts: [Start]

    /// How a rollout chooses its tokens.
    public var sampling: Sampling

    /// Whether rollouts shall carry their ``Rollout/state``.
    public var wantsStates: Bool

    /// How many ``Rollout/candidates`` rollouts shall carry for each of their tokens; a policy may leave them out.
    public var candidateCount = 0

    /// What rollouts obey: each of their tokens is chosen among those that it allows, and where it ends the response, behind
    /// a prefix too, a rollout ends with the reason `stop`. Nil for no constraint.
    public var constraint: (any Constraint)?

    public init(response: [Token], starts: [Start], sampling: Sampling, wantsStates: Bool = false) {
        self.response = response
        self.starts = starts
        self.sampling = sampling
        self.wantsStates = wantsStates
    }

    /// `count` rollouts of each prefix, none longer than `maximumLength`.
    public init(
        response: [Token], prefixes: [[Token]], count: Int, maximumLength: Int, sampling: Sampling, noise: Noise,
        wantsStates: Bool = false
    ) {
        let starts = prefixes.map { prefix in
            Start(
                prefix: prefix, maximumLength: maximumLength, numbers: 0..<count, noise: noise.derived(prefix: prefix))
        }
        self.init(response: response, starts: starts, sampling: sampling, wantsStates: wantsStates)
    }
}

extension Noise {
    /// The randomness of what follows a prefix.
    package func derived(prefix: [Token]) -> Noise { prefix.reduce(self) { $0.derived(Int($1)) } }
}
