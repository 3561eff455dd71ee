import Foundation

/// Which of the task's policies a plain method decodes from.
enum PolicyRole: String, CaseIterable, Sendable {
    case reference, baseline

    init(from parameters: inout ParameterReader) throws {
        self = try parameters.choice("policy", default: .reference, "the policy to decode from")
    }

    func policy(of task: DecodingTask) -> CheckedPolicy {
        self == .reference ? task.policies.reference : task.policies.baseline
    }
}

/// The most likely token at every step.
public struct GreedyDecoding: NamedDecodingMethod {
    public static let name = "greedy"
    public static let summary = "plain decoding: the most likely token at every step"

    let role: PolicyRole

    public init(from parameters: inout ParameterReader) throws {
        role = try PolicyRole(from: &parameters)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {}

    public var usesBaseline: Bool { role == .baseline }

    public func demand(maximumLength: Int) -> RolloutDemand { .none }

    public func decide(_ state: DecodingState) async throws -> Decision {
        try await decidePlain(state, role: role, sampling: .greedy)
    }
}

/// A draw from the policy at every step, optionally reshaped by temperature and filters.
public struct SampledDecoding: NamedDecodingMethod {
    public static let name = "sample"
    public static let summary = "plain decoding: a draw from the policy at every step"

    let role: PolicyRole
    let sampling: Sampling

    public init(from parameters: inout ParameterReader) throws {
        role = try PolicyRole(from: &parameters)
        sampling = try Sampling(from: &parameters)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {}

    public var usesBaseline: Bool { role == .baseline }

    public func demand(maximumLength: Int) -> RolloutDemand { .none }

    public func decide(_ state: DecodingState) async throws -> Decision {
        try await decidePlain(state, role: role, sampling: sampling)
    }
}

/// How many candidates a plain method shows in its trace.
private let shownCandidates = 10

/// One step of plain decoding.
private func decidePlain(
    _ state: DecodingState, role: PolicyRole, sampling: Sampling
) async throws -> Decision {
    let policy = role.policy(of: state.task)
    let size = state.task.tokenizer.size
    let isPolicyItself = sampling == .ancestral && role == .reference
    // The whole vocabulary is sorted only when the sampling reshapes it: the policy itself is sampled where its
    // logits are, and its divergence from itself is zero.
    let needed = sampling.isGreedy || isPolicyItself ? shownCandidates : sampling.topK ?? size
    let candidates = try await policy.propose(
        ProposalRequest(
            response: state.response, count: min(needed, size), constraint: state.answer.constraint))
    var distribution: [Candidate]
    let token: Token
    if isPolicyItself {
        let draw = try await state.answer.drawFromReference()
        token = draw.token
        distribution = candidates
        if !candidates.contains(where: { $0.token == token }) { distribution.append(draw) }
    } else {
        distribution = sampling.distribution(over: candidates)
        let uniform = state.noise(.choice).uniform
        // There is at least one candidate, as the policy's check has seen to.
        token = distribution[Sampling.draw(from: distribution, uniform: uniform) ?? 0].token
    }

    let logReference =
        switch role {
        case .reference where isPolicyItself: distribution.map(\.logProbability)
        case .reference: candidates.prefix(distribution.count).map(\.logProbability)
        case .baseline:
            try await state.task.reference.logProbabilities(of: distribution.map(\.token), after: state.response)
        }
    let scored = zip(distribution, logReference).map { candidate, logReference in
        ScoredCandidate(
            tokens: [candidate.token], logProbability: logReference, value: nil, score: candidate.logProbability,
            probability: exp(candidate.logProbability), rollouts: [])
    }
    let kl = isPolicyItself ? 0 : LogSpace.klDivergence(distribution.map(\.logProbability), from: logReference)
    let shown = scored.prefix(shownCandidates) + scored.dropFirst(shownCandidates).filter { $0.tokens == [token] }
    return Decision(
        tokens: [token], candidates: Array(shown), kl: kl, klKind: sampling.isGreedy ? .pointMass : .divergence,
        usage: Usage())
}
