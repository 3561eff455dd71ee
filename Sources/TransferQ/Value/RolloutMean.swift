/// Q̂(s, z) = mean of r([s, z, τ_i]) over N rollouts τ_i of a policy (theory.md section 3).
///
/// Rolled out by the reference this is controlled decoding's value, by an aligned baseline Transfer Q*'s (direct).
/// A candidate that ends the response has no rollouts: its value is the reward of the response.
public struct RolloutMean: ValueEstimator {
    let policy: any Policy
    let reward: any RewardModel
    let lookAhead: LookAhead

    public func estimates(for tokens: [Token], in state: DecodingState) async throws -> ValueEstimates {
        let horizon = min(lookAhead.horizon, state.remainingLength - 1)
        let ongoing = tokens.indices.filter { !state.task.vocabulary.isEnd(tokens[$0]) }
        let request = RolloutRequest(
            response: state.response, prefixes: ongoing.map { [tokens[$0]] }, count: lookAhead.rollouts,
            maximumLength: horizon, sampling: lookAhead.sampling, noise: state.noise(.rollout))
        let rolledOut = ongoing.isEmpty ? [] : try await policy.rollouts(request)

        var rollouts = [[Rollout]](
            repeating: [Rollout(tokens: [], logProbability: 0, finishReason: .stop)], count: tokens.count)
        for (index, branch) in zip(ongoing, rolledOut) { rollouts[index] = branch }
        let completions = zip(tokens, rollouts).flatMap { token, branch in
            branch.map { state.completion(adding: [token] + $0.tokens, hiddenState: $0.hiddenState) }
        }
        var rewards = try await reward.checkedRewards(for: completions)[...]

        var usage = Usage()
        usage.rewardCalls = completions.count
        usage.scoredTokens = completions.reduce(0) { $0 + $1.tokens.count }
        usage.rolloutTokens = rollouts.joined().reduce(0) { $0 + $1.tokens.count }
        let estimates = rollouts.map { branch in
            let own = rewards.prefix(branch.count)
            rewards = rewards.dropFirst(branch.count)
            return ValueEstimate(
                value: own.reduce(0, +) / Double(branch.count),
                rollouts: zip(branch, own).map { ScoredRollout(rollout: $0, reward: $1) })
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}
