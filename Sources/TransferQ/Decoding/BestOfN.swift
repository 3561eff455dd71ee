import Foundation

/// n whole responses from a policy, of which the one with the highest reward is kept (the first of equal ones).
public struct BestOfN: NamedDecodingMethod {
    public static let name = "best-of-n"
    public static let summary = "n sampled responses, the one with the highest reward"

    let count: Int
    let role: PolicyRole
    let sampling: Sampling

    public init(from parameters: inout ParameterReader) throws {
        count = try parameters.integer("n", default: 8, in: 1...LookAhead.mostRollouts, "responses to sample")
        role = try PolicyRole(from: &parameters)
        sampling = try Sampling(from: &parameters)
        guard count == 1 || !sampling.isGreedy else {
            throw TransferQError.invalidParameter(
                name: "temperature", value: "0",
                requirement: "above 0 for best-of-n, because greedy responses are all alike")
        }
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
    }

    public var usesBaseline: Bool { role == .baseline }

    public func demand(maximumLength: Int) -> RolloutDemand {
        RolloutDemand(sequences: count, tokensPerSequence: maximumLength)
    }

    /// Takes the rest of the response in one decision; its one candidate list is the n responses.
    public func decide(_ state: DecodingState) async throws -> Decision {
        let reward = try state.task.requireReward(for: Self.name)
        let policy = role.policy(of: state.task)
        var request = RolloutRequest(
            response: state.response, prefixes: [[]], count: count, maximumLength: state.remainingLength,
            sampling: sampling, noise: state.noise(.rollout),
            wantsStates: try await reward.reads(policy, in: state.task.conversation))
        request.constraint = state.answer.constraint
        let rollouts = try await policy.rollOut(request)[0]
        let completions = rollouts.map { state.answer.completion(adding: $0.tokens, state: $0.state) }
        var usage = Usage()
        let scores = try await UniqueCompletions(completions).scores(by: reward, usage: &usage)
        var best = 0
        for index in scores.indices where scores[index].reward > scores[best].reward { best = index }
        usage.rolloutTokens = rollouts.reduce(0) { $0 + $1.tokens.count } - rollouts[best].tokens.count
        let scored = rollouts.indices.map { index in
            ScoredCandidate(
                tokens: rollouts[index].tokens, logProbability: rollouts[index].logProbability,
                value: scores[index].reward, score: scores[index].reward, probability: index == best ? 1 : 0,
                rollouts: [
                    ScoredRollout(
                        rollout: rollouts[index], reward: scores[index].reward, rewardParts: scores[index].parts)
                ])
        }
        return Decision(
            tokens: rollouts[best].tokens, candidates: scored, kl: klBound, klKind: .boundOfMethod, usage: usage)
    }

    /// log n − (n − 1)/n, the upper bound of KL(best-of-n ‖ ρ) (Beirami et al., arXiv 2401.01879); nothing is known
    /// when the n responses do not come from the reference's own distribution.
    private var klBound: Double? {
        guard sampling == .ancestral, role == .reference else { return nil }
        return log(Double(count)) - Double(count - 1) / Double(count)
    }
}
