/// Rolls candidates out and scores where they lead: what all values with look-ahead begin with.
struct RolloutScorer: Sendable {
    let policy: CheckedPolicy
    let reward: any RewardModel
    let lookAhead: LookAhead

    /// The rollouts of each place, with the texts they lead to.
    struct Branch: Sendable {
        let place: ValuePlace
        var rollouts: [ScoredRollout]
        let completions: [Completion]
        /// What the reference read in them, when the reward's hidden states came from it.
        let readings: [Reading]?
    }

    /// One branch per place, in order. A candidate that completes the response has one rollout without tokens.
    ///
    /// Where the reward reads hidden states that a policy at hand has anyway, that policy's own pass serves.
    ///
    /// - Parameter forRatios: whether ``logRatios(of:in:usage:)`` is to come, for which the reference reads the rollouts.
    func branches(
        for places: [ValuePlace], in state: AnswerState, forRatios: Bool
    ) async throws -> ([Branch], Usage) {
        let conversation = state.conversation
        var usage = Usage()
        let rollouts = try await self.rollouts(
            from: places, in: state, wantsStates: try await reward.reads(policy, in: conversation), usage: &usage)
        var readings: [[Reading]]?
        let reference = state.policies.reference
        if forRatios, reference !== policy, try await reward.reads(reference, in: conversation) {
            readings = try await read(places, rollouts, by: reference, in: state, wantsStates: true, usage: &usage)
        }
        let completions = places.indices.map { index in
            rollouts[index].indices.map { rollout in
                state.completion(
                    adding: places[index].prefix + rollouts[index][rollout].tokens,
                    state: readings?[index][rollout].state ?? rollouts[index][rollout].state)
            }
        }
        var scores = try await UniqueCompletions(completions.joined()).scores(by: reward, usage: &usage)[...]
        let branches = places.indices.map { index in
            let own = scores.prefix(rollouts[index].count)
            scores = scores.dropFirst(rollouts[index].count)
            return Branch(
                place: places[index],
                rollouts: zip(rollouts[index], own).map { rollout, score in
                    ScoredRollout(rollout: rollout, reward: score.reward, rewardParts: score.parts)
                },
                completions: completions[index], readings: readings?[index])
        }
        return (branches, usage)
    }

    /// The policy's rollouts of each place.
    private func rollouts(
        from places: [ValuePlace], in state: AnswerState, wantsStates: Bool, usage: inout Usage
    ) async throws -> [[Rollout]] {
        let plan = PlaceRollouts(places, in: state, lookAhead: lookAhead, wantsStates: wantsStates)
        var request = RolloutRequest(
            response: state.response, starts: plan.starts, sampling: lookAhead.sampling, wantsStates: wantsStates)
        request.constraint = state.constraint
        request.candidateCount = places.map(\.candidateCount).max() ?? 0
        let made = plan.starts.isEmpty ? [] : try await policy.rollOut(request)
        usage.rolloutBatches += plan.starts.isEmpty ? 0 : 1
        usage.rollouts += made.reduce(0) { $0 + $1.count }
        for (start, rollouts) in zip(plan.starts, made) {
            let new = rollouts.reduce(0) { $0 + $1.tokens.count - start.beginning.tokens.count }
            usage.rolloutTokens += new
            usage.reusedTokens += start.beginning.tokens.count
        }
        var rollouts = plan.rollouts(from: made)
        if wantsStates {
            let complete = places.indices.filter { plan.isComplete($0) }
            let whole = complete.map { Continuation(prefix: [], tokens: places[$0].prefix) }
            let readings = try await policy.read(whole, after: state.response)
            for (index, reading) in zip(complete, readings) { rollouts[index][0].state = reading.state }
        }
        return rollouts
    }

    /// The reference's readings of all rollouts, place by place.
    private func read(
        _ places: [ValuePlace], _ rollouts: [[Rollout]], by reference: CheckedPolicy, in state: AnswerState,
        wantsStates: Bool, usage: inout Usage
    ) async throws -> [[Reading]] {
        let continuations = zip(places, rollouts).flatMap { place, branch in
            branch.map { Continuation(prefix: place.prefix, tokens: $0.tokens) }
        }
        usage.readTokens += continuations.reduce(0) { $0 + $1.tokens.count }
        var all =
            try await wantsStates
            ? reference.read(continuations, after: state.response)[...]
            : reference.score(continuations, after: state.response).map { Reading(logProbability: $0) }[...]
        return rollouts.map { branch in
            defer { all = all.dropFirst(branch.count) }
            return Array(all.prefix(branch.count))
        }
    }

    /// log(ρ_sft(τ|s,z) / ρ_BL(τ|s,z)) of every rollout, branch by branch; zero when both are one policy.
    ///
    /// - Parameter usage: counts what the reference reads.
    func logRatios(of branches: [Branch], in state: AnswerState, usage: inout Usage) async throws -> [[Double]] {
        let reference = state.policies.reference
        guard reference !== policy else { return branches.map { $0.rollouts.map { _ in 0 } } }
        let known = branches.compactMap(\.readings)
        let readings =
            known.count == branches.count
            ? known
            : try await read(
                branches.map(\.place), branches.map { $0.rollouts.map(\.rollout) }, by: reference, in: state,
                wantsStates: false, usage: &usage)
        return zip(branches, readings).map { branch, readings in
            zip(branch.rollouts, readings).map { $1.logProbability - $0.rollout.logProbability }
        }
    }
}
