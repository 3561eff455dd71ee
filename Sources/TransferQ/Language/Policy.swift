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

    /// ``candidates(after:count:)`` after the response and after each beginning of `path` behind it: one list more than
    /// the path has tokens. A policy that can reads the whole path in one pass.
    func candidates(after response: [Token], along path: [Token], count: Int) async throws -> [[Candidate]]

    /// ``logProbabilities(of:after:)`` for lists of tokens, the first after the response, the others along `path`.
    func logProbabilities(of tokens: [[Token]], after response: [Token], along path: [Token]) async throws -> [[Double]]

    /// Announces what ``logProbabilities(of:after:along:)`` and ``candidates(after:along:count:)`` will need of a path. A
    /// policy that can has it decoded along with the next batch of the model, whoever asks for that, and waits for nothing:
    /// so what shares a batch depends on no clock. It changes no result.
    func prepare(after response: [Token], along path: [Token]) async throws

    /// Continuations of every start, in the order of the request: result[start][rollout].
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

    public func prepare(after response: [Token], along path: [Token]) async throws {}

    public func candidates(after response: [Token], along path: [Token], count: Int) async throws -> [[Candidate]] {
        var lists: [[Candidate]] = []
        for length in 0...path.count {
            lists.append(try await candidates(after: response + path.prefix(length), count: count))
        }
        return lists
    }

    public func logProbabilities(
        of tokens: [[Token]], after response: [Token], along path: [Token]
    ) async throws -> [[Double]] {
        var lists: [[Double]] = []
        for (length, tokens) in tokens.enumerated() {
            lists.append(try await logProbabilities(of: tokens, after: response + path.prefix(length)))
        }
        return lists
    }
}
