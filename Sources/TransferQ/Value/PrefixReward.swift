/// Q(s, z) = r([s, z]): ARGS' value, the reward of the unfinished text (Khanov et al., arXiv 2402.01694).
struct PrefixReward: ValueEstimator {
    let reward: any RewardModel

    func estimates(for candidates: [[Token]], in state: DecodingState) async throws -> ValueEstimates {
        let completions = candidates.map { state.completion(adding: $0) }
        var usage = Usage()
        usage.add(scored: completions)
        let rewards = try await reward.checkedRewards(for: completions)
        return ValueEstimates(estimates: rewards.map { ValueEstimate(value: $0) }, usage: usage)
    }
}
