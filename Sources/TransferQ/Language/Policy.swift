/// Tokens that follow a prefix, which itself follows the response.
public struct Continuation: Hashable, Sendable {
    public var prefix: [Token]
    public var tokens: [Token]

    public init(prefix: [Token], tokens: [Token]) {
        self.prefix = prefix
        self.tokens = tokens
    }
}

/// What a policy makes of a continuation that it did not write itself.
public struct Reading: Hashable, Sendable {
    /// log ρ(tokens | prompt, response, prefix) in nats; 0 without tokens.
    public var logProbability: Double
    /// States over response, prefix and tokens, when they were asked for and the policy offers them.
    public var state: PooledState?

    public init(logProbability: Double, state: PooledState? = nil) {
        self.logProbability = logProbability
        self.state = state
    }
}

/// π(· | prompt, response so far): a language model bound to one prompt.
///
/// The decoder sees response tokens only; prompts, templates, adapters and caches are the policy's own business. The
/// reference and the baseline are two policies, or one policy in both roles. A policy keeps what it computed for the
/// response it saw last, so asking about a growing response costs one token a step; asking about another response is
/// correct, but slower.
public protocol Policy: AnyObject, Sendable {
    var vocabulary: any Vocabulary { get }

    /// The longest response the policy can continue to, in tokens.
    var maximumResponseLength: Int { get }

    /// Tokens of the prompt.
    var promptLength: Int { get }

    /// The `count` most likely next tokens, most likely first (equal ones by token id).
    ///
    /// - Parameters:
    ///   - response: the response so far, with no end token in it.
    ///   - count: 1 ... vocabulary size.
    /// - Throws: `CancellationError`, or the policy's own error.
    func candidates(after response: [Token], count: Int) async throws -> [Candidate]

    /// log π(token | prompt, response) in nats, for each of `tokens` as the next token.
    func logProbabilities(of tokens: [Token], after response: [Token]) async throws -> [Double]

    /// Continuations of every prefix, in the order of the request: result[prefix][rollout].
    func rollouts(_ request: RolloutRequest) async throws -> [[Rollout]]

    /// Reads continuations, each in one pass that gives its log-probability and, when wanted, its hidden states.
    ///
    /// What another policy's rollouts are worth under this one (the ratio ρ_sft/ρ_BL of theory.md sections 4 and 5),
    /// and what a learned reward on this policy's states is computed from.
    func read(_ continuations: [Continuation], after response: [Token], wantsStates: Bool) async throws -> [Reading]

    /// What this policy's hidden states are computed from; nil for a policy that offers none.
    var stateSource: StateSource? { get }
}

extension Policy {
    public var stateSource: StateSource? { nil }
}
