/// A policy whose every result is checked before the method sees it.
///
/// The decoder trusts no policy. A list that is too short, a rollout without tokens, a token outside of the vocabulary or a
/// log-probability that is no number ends in ``TransferQError/policyBreach(policy:reason:)``, which names the policy, and
/// never in a trap, a hang or a wrong answer. ``TaskPolicies`` puts it around the policies of a task, and
/// ``ImplicitReward`` around those that it reads with; nothing behind them needs to check again.
///
/// It offers what an ``InProcessPolicy`` does, of a policy that is none as well: position by position, without states.
final class CheckedPolicy: InProcessPolicy {
    let base: any Policy
    /// What the base offers beyond a policy's duties.
    private let engine: (any InProcessPolicy)?
    /// For messages: its role and its type, e.g. `the baseline (LlamaPolicy)`.
    let name: String
    /// Tokens of the vocabulary.
    let size: Int

    /// - Parameters:
    ///   - policy: one that is checked already is checked in its new role instead.
    ///   - role: what the policy is called in messages, e.g. `the baseline`.
    init(_ policy: any Policy, role: String) {
        base = policy.underlying
        engine = base.inProcess
        name = "\(role) (\(type(of: base)))"
        size = base.tokenizer.size
    }

    var tokenizer: any Tokenizer { base.tokenizer }
    var maximumResponseLength: Int { base.maximumResponseLength }
    var promptLength: Int { base.promptLength }
    var prompt: [Token] { base.prompt }
    var stateSource: StateSource? { engine?.stateSource }
    var underlying: any Policy { base }

    func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        let list = try await base.propose(request)
        try check(list, count: request.count, allowed: request.constraint?.tokens(after: request.response[...]))
        return list
    }

    func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
        guard let engine else { return try await positionByPosition(request, along: path) }
        let lists = try await engine.propose(request, along: path)
        try check(lists.count, path.count + 1, "lists of candidates", "the response and each token of the path")
        for (length, list) in lists.enumerated() {
            let response = request.response + path.prefix(length)
            try check(list, count: request.count, allowed: request.constraint?.tokens(after: response[...]))
        }
        return lists
    }

    func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
        try check(asked: continuations)
        let numbers = try await base.score(continuations, after: response)
        try check(numbers, count: continuations.count, "each continuation")
        return numbers
    }

    func prepare(after response: [Token], along path: [Token]) async throws {
        try await engine?.prepare(after: response, along: path)
    }

    func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
        let lists = try await base.rollOut(request)
        try check(lists.count, request.starts.count, "lists of rollouts", "each start")
        for (rollouts, start) in zip(lists, request.starts) {
            try check(rollouts.count, start.numbers.count, "rollouts of a start", "each number that was asked for")
            for rollout in rollouts { try check(rollout, of: start, in: request) }
        }
        return lists
    }

    /// Without states where the policy offers none.
    func read(_ continuations: [Continuation], after response: [Token]) async throws -> [Reading] {
        guard let engine else {
            return try await score(continuations, after: response).map { Reading(logProbability: $0) }
        }
        try check(asked: continuations)
        let readings = try await engine.read(continuations, after: response)
        try check(readings.count, continuations.count, "readings", "each continuation")
        for reading in readings {
            try check(reading.logProbability)
            try check(reading.state)
        }
        return readings
    }
}
