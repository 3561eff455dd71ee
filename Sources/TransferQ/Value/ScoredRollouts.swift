/// Rolls candidates out and scores where they lead: what all values with look-ahead begin with.
struct RolloutScorer: Sendable {
    let policy: any Policy
    let reward: any RewardModel
    let lookAhead: LookAhead

    /// The rollouts of each candidate, with the texts they lead to.
    struct Branch: Sendable {
        let candidate: [Token]
        var rollouts: [ScoredRollout]
        let completions: [Completion]
    }

    /// One branch per candidate, in order. A candidate that completes the response has one rollout without tokens.
    func branches(for candidates: [[Token]], in state: DecodingState) async throws -> ([Branch], Usage) {
        let vocabulary = state.task.vocabulary
        let ongoing = candidates.indices.filter { index in
            !(candidates[index].last.map(vocabulary.isEnd) ?? false)
                && candidates[index].count < state.remainingLength
        }
        let longest = ongoing.map { candidates[$0].count }.max() ?? 0
        let request = RolloutRequest(
            response: state.response, prefixes: ongoing.map { candidates[$0] }, count: lookAhead.rollouts,
            maximumLength: min(lookAhead.horizon, state.remainingLength - longest), sampling: lookAhead.sampling,
            noise: state.noise(.rollout))
        let rolledOut = ongoing.isEmpty ? [] : try await policy.rollouts(request)

        let complete = [Rollout(tokens: [], logProbability: 0, finishReason: .stop)]
        var rollouts = [[Rollout]](repeating: complete, count: candidates.count)
        for (index, branch) in zip(ongoing, rolledOut) { rollouts[index] = branch }
        let completions = zip(candidates, rollouts).map { candidate, branch in
            branch.map { state.completion(adding: candidate + $0.tokens, hiddenState: $0.hiddenState) }
        }
        var rewards = try await reward.checkedRewards(for: Array(completions.joined()))[...]
        var usage = Usage()
        usage.add(scored: completions.joined())
        usage.rolloutTokens = rollouts.joined().reduce(0) { $0 + $1.tokens.count }
        let branches = candidates.indices.map { index in
            let own = rewards.prefix(rollouts[index].count)
            rewards = rewards.dropFirst(rollouts[index].count)
            return Branch(
                candidate: candidates[index],
                rollouts: zip(rollouts[index], own).map { ScoredRollout(rollout: $0, reward: $1) },
                completions: completions[index])
        }
        return (branches, usage)
    }

    /// log(ρ_sft(τ|s,z) / ρ_BL(τ|s,z)) of every rollout, branch by branch; zero when both are one policy.
    ///
    /// - Parameter usage: counts what the reference reads.
    func logRatios(of branches: [Branch], in state: DecodingState, usage: inout Usage) async throws -> [[Double]] {
        let reference = state.task.reference
        guard reference !== policy else { return branches.map { $0.rollouts.map { _ in 0 } } }
        let continuations = branches.flatMap { branch in
            branch.rollouts.map { Continuation(prefix: branch.candidate, tokens: $0.rollout.tokens) }
        }
        usage.readTokens += continuations.reduce(0) { $0 + $1.tokens.count }
        var logs = try await reference.logProbabilities(of: continuations, after: state.response)[...]
        return branches.map { branch in
            defer { logs = logs.dropFirst(branch.rollouts.count) }
            return zip(logs.prefix(branch.rollouts.count), branch.rollouts).map { $0 - $1.rollout.logProbability }
        }
    }
}

extension Usage {
    /// Counts texts that a reward reads.
    mutating func add(scored completions: some Sequence<Completion>) {
        for completion in completions {
            rewardCalls += 1
            scoredTokens += completion.tokens.count
        }
    }
}
