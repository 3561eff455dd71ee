/// Q(s, z) = r([s, z]): ARGS' value, the reward of the unfinished text (Khanov et al., arXiv 2402.01694).
///
/// A candidate's one "rollout" has no tokens: it carries the reward and its parts. Where the reward reads the reference's
/// own hidden states, the reference decodes each candidate once, and the chosen one never again.
struct PrefixReward: ValueEstimator {
    let reward: any RewardModel

    func estimates(for candidates: [[Token]], in state: DecodingState) async throws -> ValueEstimates {
        let source = try await reward.stateSource(for: state.task.conversation)
        var readings: [Reading]?
        if let source, source == state.task.reference.stateSource {
            readings = try await state.task.reference.read(
                candidates.map { Continuation(prefix: $0, tokens: []) }, after: state.response, wantsStates: true)
        }
        let completions = candidates.indices.map { index in
            state.completion(adding: candidates[index], state: readings?[index].state)
        }
        var usage = Usage()
        let scores = try await UniqueCompletions(completions).scores(by: reward, usage: &usage)
        let estimates = scores.map { score in
            let rollout = Rollout(tokens: [], logProbability: 0, finishReason: .length)
            return ValueEstimate(
                value: score.reward,
                rollouts: [ScoredRollout(rollout: rollout, reward: score.reward, rewardParts: score.parts)])
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}
