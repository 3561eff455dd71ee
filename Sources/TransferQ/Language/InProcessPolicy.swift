/// A policy whose model runs in this process, and what only such a one can offer: hidden states, many positions in one pass,
/// work that is announced.
///
/// Without it the decoder chooses the same tokens (``Policy/inProcess``); it asks position by position, and rewards and heads
/// that read hidden states read the text themselves, or are refused.
public protocol InProcessPolicy: Policy {
    /// What this policy's hidden states are computed from; nil for a policy that offers none.
    var stateSource: StateSource? { get }

    /// ``Policy/propose(_:)`` after the response and after each beginning of `path` behind it: one list more than the path
    /// has tokens, read in one pass by a policy that can.
    func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]]

    /// ``Policy/logProbabilities(of:after:)`` for lists of tokens, the first after the response, the others along `path`: one
    /// list more than the path has tokens at most, read in one pass by a policy that can.
    func logProbabilities(of tokens: [[Token]], after response: [Token], along path: [Token]) async throws -> [[Double]]

    /// Announces what ``propose(_:along:)`` and ``Policy/score(_:after:)`` will need of a path. A policy that can has it
    /// decoded along with the next batch of the model, whoever asks for that, and waits for nothing: so what shares a batch
    /// depends on no clock. It changes no result.
    func prepare(after response: [Token], along path: [Token]) async throws

    /// ``Policy/score(_:after:)`` with hidden states: what a learned reward or head on them is computed from.
    func read(_ continuations: [Continuation], after response: [Token]) async throws -> [Reading]
}

extension InProcessPolicy {
    public var inProcess: (any InProcessPolicy)? { self }

    public var stateSource: StateSource? { nil }

    public func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
        try await positionByPosition(request, along: path)
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

    public func prepare(after response: [Token], along path: [Token]) async throws {}
}

extension Policy {
    /// Proposals along a path, for a policy that has no faster way.
    func positionByPosition(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
        var lists: [[Candidate]] = []
        for length in 0...path.count {
            var request = request
            request.response += path.prefix(length)
            lists.append(try await propose(request))
        }
        return lists
    }
}

/// What a policy makes of a continuation that it did not write itself.
public struct Reading: Hashable, Sendable {
    /// log ρ(tokens | prompt, response, prefix) in nats; 0 without tokens.
    public var logProbability: Double
    /// States over response, prefix and tokens, where the policy offers them.
    public var state: PooledState?

    public init(logProbability: Double, state: PooledState? = nil) {
        self.logProbability = logProbability
        self.state = state
    }
}
