/// π(· | prompt, response so far): a language model bound to one prompt. It proposes next tokens, scores given ones and rolls
/// out.
///
/// The decoder sees response tokens only; prompts, templates, adapters and caches are the policy's own business. The
/// reference and the baseline are two policies, or one policy in both roles. A policy keeps what it computed for the
/// response it saw last, so asking about a growing response costs one token a step; asking about another response is
/// correct, but slower.
public protocol Policy: AnyObject, Sendable {
    var tokenizer: any Tokenizer { get }

    /// The longest response the policy can continue to, in tokens.
    var maximumResponseLength: Int { get }

    /// Tokens of the prompt.
    var promptLength: Int { get }

    /// The prompt, where the policy knows it in tokens; all randomness of an answer derives from the reference's. Empty
    /// unless a policy says otherwise.
    var prompt: [Token] { get }

    /// The most likely next tokens, most likely first (equal ones by token id): as many as are asked for.
    ///
    /// - Throws: `CancellationError`, or the policy's own error.
    func propose(_ request: ProposalRequest) async throws -> [Candidate]

    /// log π(tokens | prompt, response, prefix) in nats of each continuation, in order; 0 without tokens.
    ///
    /// What another policy's rollouts are worth under this one (the ratio ρ_sft/ρ_BL of theory.md sections 4 and 5), and
    /// what candidates of another policy are.
    func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double]

    /// Continuations of every start, in the order of the request: result[start][rollout].
    func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]]

    /// The same policy, where it runs in this process and offers more; nil for one that does not.
    var inProcess: (any InProcessPolicy)? { get }

    /// The policy behind one that only checks what it hands on; the policy itself unless it says otherwise. Tells whether
    /// two are one.
    var underlying: any Policy { get }
}

extension Policy {
    public var prompt: [Token] { [] }
    public var inProcess: (any InProcessPolicy)? { nil }
    public var underlying: any Policy { self }

    /// The `count` most likely next tokens after a response.
    public func propose(after response: [Token], count: Int) async throws -> [Candidate] {
        try await propose(ProposalRequest(response: response, count: count))
    }

    /// log π(token | prompt, response) in nats, for each of `tokens` as the next token.
    public func logProbabilities(of tokens: [Token], after response: [Token]) async throws -> [Double] {
        try await score(tokens.map { Continuation(prefix: [], tokens: [$0]) }, after: response)
    }
}

/// Next tokens wanted of a policy.
public struct ProposalRequest: Sendable {
    /// The response so far, with no end token in it.
    public var response: [Token]

    /// 1 ... vocabulary size.
    public var count: Int

    /// Which tokens are wanted: fewer than `count` where it allows fewer. Their probabilities stay those of the policy
    /// itself. Nil for any.
    public var constraint: (any Constraint)?

    public init(response: [Token], count: Int, constraint: (any Constraint)? = nil) {
        self.response = response
        self.count = count
        self.constraint = constraint
    }
}

/// Tokens that follow a prefix, which itself follows the response.
public struct Continuation: Hashable, Sendable {
    public var prefix: [Token]
    public var tokens: [Token]

    public init(prefix: [Token], tokens: [Token]) {
        self.prefix = prefix
        self.tokens = tokens
    }
}
