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
        /// What the reference read in them, when the reward's hidden states came from it.
        let readings: [Reading]?
    }

    /// One branch per candidate, in order. A candidate that completes the response has one rollout without tokens.
    ///
    /// Where the reward reads hidden states that a policy at hand has anyway, that policy's own pass serves.
    func branches(for candidates: [[Token]], in state: DecodingState) async throws -> ([Branch], Usage) {
        let conversation = state.task.conversation
        let rollouts = try await self.rollouts(
            of: candidates, in: state, wantsStates: try await reward.reads(policy, in: conversation))
        var usage = Usage()
        usage.rolloutTokens = rollouts.joined().reduce(0) { $0 + $1.tokens.count }
        var readings: [[Reading]]?
        let reference = state.task.reference
        if reference !== policy, try await reward.reads(reference, in: conversation) {
            readings = try await read(candidates, rollouts, by: reference, in: state, usage: &usage)
        }
        let completions = candidates.indices.map { index in
            rollouts[index].indices.map { rollout in
                state.completion(
                    adding: candidates[index] + rollouts[index][rollout].tokens,
                    state: readings?[index][rollout].state ?? rollouts[index][rollout].state)
            }
        }
        var scores = try await UniqueCompletions(completions.joined()).scores(by: reward, usage: &usage)[...]
        let branches = candidates.indices.map { index in
            let own = scores.prefix(rollouts[index].count)
            scores = scores.dropFirst(rollouts[index].count)
            return Branch(
                candidate: candidates[index],
                rollouts: zip(rollouts[index], own).map { rollout, score in
                    ScoredRollout(rollout: rollout, reward: score.reward, rewardParts: score.parts)
                },
                completions: completions[index], readings: readings?[index])
        }
        return (branches, usage)
    }

    /// The policy's rollouts of each candidate.
    private func rollouts(
        of candidates: [[Token]], in state: DecodingState, wantsStates: Bool
    ) async throws -> [[Rollout]] {
        let vocabulary = state.task.vocabulary
        func isComplete(_ candidate: [Token]) -> Bool {
            candidate.last.map(vocabulary.isEnd) ?? false || candidate.count >= state.remainingLength
        }
        let (complete, ongoing) = (candidates.filter(isComplete), candidates.filter { !isComplete($0) })
        let request = RolloutRequest(
            response: state.response, prefixes: ongoing, count: lookAhead.rollouts,
            maximumLength: min(lookAhead.horizon, state.remainingLength - (ongoing.map(\.count).max() ?? 0)),
            sampling: lookAhead.sampling, noise: state.noise(.rollout), wantsStates: wantsStates)
        var finished = complete.map { _ in Rollout(tokens: [], logProbability: 0, finishReason: .stop) }[...]
        if wantsStates {
            let whole = complete.map { Continuation(prefix: [], tokens: $0) }
            let readings = try await policy.read(whole, after: state.response, wantsStates: true)
            for (index, reading) in readings.enumerated() { finished[index].state = reading.state }
        }
        var rolledOut = ongoing.isEmpty ? [] : try await policy.rollouts(request)[...]
        return candidates.map { candidate in
            isComplete(candidate) ? [finished.removeFirst()] : rolledOut.removeFirst()
        }
    }

    /// The reference's readings of all rollouts, candidate by candidate.
    private func read(
        _ candidates: [[Token]], _ rollouts: [[Rollout]], by reference: any Policy, in state: DecodingState,
        usage: inout Usage
    ) async throws -> [[Reading]] {
        let continuations = zip(candidates, rollouts).flatMap { candidate, branch in
            branch.map { Continuation(prefix: candidate, tokens: $0.tokens) }
        }
        usage.readTokens += continuations.reduce(0) { $0 + $1.tokens.count }
        var all = try await reference.read(continuations, after: state.response, wantsStates: true)[...]
        return rollouts.map { branch in
            defer { all = all.dropFirst(branch.count) }
            return Array(all.prefix(branch.count))
        }
    }

    /// log(ρ_sft(τ|s,z) / ρ_BL(τ|s,z)) of every rollout, branch by branch; zero when both are one policy.
    ///
    /// - Parameter usage: counts what the reference reads.
    func logRatios(of branches: [Branch], in state: DecodingState, usage: inout Usage) async throws -> [[Double]] {
        let reference = state.task.reference
        guard reference !== policy else { return branches.map { $0.rollouts.map { _ in 0 } } }
        let known = branches.compactMap(\.readings)
        if known.count == branches.count {
            return zip(branches, known).map { branch, readings in
                zip(branch.rollouts, readings).map { $1.logProbability - $0.rollout.logProbability }
            }
        }
        let continuations = branches.flatMap { branch in
            branch.rollouts.map { Continuation(prefix: branch.candidate, tokens: $0.rollout.tokens) }
        }
        usage.readTokens += continuations.reduce(0) { $0 + $1.tokens.count }
        let readings = try await reference.read(continuations, after: state.response, wantsStates: false)
        var logs = readings.map(\.logProbability)[...]
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
