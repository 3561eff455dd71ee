/// Rolls candidates out and scores where they lead: what all values with look-ahead begin with.
struct RolloutScorer: Sendable {
    let policy: any Policy
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
        for places: [ValuePlace], in state: DecodingState, forRatios: Bool
    ) async throws -> ([Branch], Usage) {
        let conversation = state.task.conversation
        var usage = Usage()
        let rollouts = try await self.rollouts(
            from: places, in: state, wantsStates: try await reward.reads(policy, in: conversation), usage: &usage)
        var readings: [[Reading]]?
        let reference = state.task.reference
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
        from places: [ValuePlace], in state: DecodingState, wantsStates: Bool, usage: inout Usage
    ) async throws -> [[Rollout]] {
        let plan = RolloutPlan(places, in: state, lookAhead: lookAhead, wantsStates: wantsStates)
        var request = RolloutRequest(
            response: state.response, starts: plan.starts, sampling: lookAhead.sampling, wantsStates: wantsStates)
        request.candidateCount = places.map(\.candidateCount).max() ?? 0
        let made = plan.starts.isEmpty ? [] : try await policy.rollouts(request)
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
            let readings = try await policy.read(whole, after: state.response, wantsStates: true)
            for (index, reading) in zip(complete, readings) { rollouts[index][0].state = reading.state }
        }
        return rollouts
    }

    /// The reference's readings of all rollouts, place by place.
    private func read(
        _ places: [ValuePlace], _ rollouts: [[Rollout]], by reference: any Policy, in state: DecodingState,
        wantsStates: Bool, usage: inout Usage
    ) async throws -> [[Reading]] {
        let continuations = zip(places, rollouts).flatMap { place, branch in
            branch.map { Continuation(prefix: place.prefix, tokens: $0.tokens) }
        }
        usage.readTokens += continuations.reduce(0) { $0 + $1.tokens.count }
        var all = try await reference.read(continuations, after: state.response, wantsStates: wantsStates)[...]
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

/// What a policy has to write for a number of places, nothing twice.
///
/// A greedy rollout that passes another place *is* that place's rollout from there on (theory.md section 7), so the
/// other follows it: the one rollout is made as long as both need.
struct RolloutPlan {
    private enum Source {
        /// The candidate ends the response.
        case complete
        /// What is known suffices.
        case known(Rollout)
        case start(Int)
        /// The tokens of a start's rollout behind the first so many.
        case following(Int, after: Int)
    }

    private(set) var starts: [RolloutRequest.Start] = []
    private var sources: [Source] = []
    private let places: [ValuePlace]
    private var lengths: [Int] = []

    init(_ places: [ValuePlace], in state: DecodingState, lookAhead: LookAhead, wantsStates: Bool) {
        self.places = places
        let vocabulary = state.task.vocabulary
        // The shallowest first: others may follow it.
        var owners: [Int: Int] = [:]
        lengths = places.map {
            min($0.horizon ?? lookAhead.horizon, max(0, state.remainingLength - $0.prefix.count))
        }
        sources = [Source](repeating: .complete, count: places.count)
        for index in places.indices.sorted(by: { places[$0].prefix.count < places[$1].prefix.count }) {
            let place = places[index]
            if place.candidate.last.map(vocabulary.isEnd) ?? false || lengths[index] == 0 { continue }
            let beginning = place.beginning
            if beginning.finishReason == .stop || beginning.tokens.count >= lengths[index], !wantsStates {
                sources[index] = .known(beginning.dropping(0, length: lengths[index]))
                continue
            }
            let leader = starts.indices.first { start in
                guard lookAhead.sampling.isGreedy, !wantsStates, let owner = owners[start] else { return false }
                let text = places[owner].prefix + starts[start].beginning.tokens
                return place.prefix.count > places[owner].prefix.count && text.starts(with: place.prefix)
            }
            if let leader, let owner = owners[leader] {
                let skipped = place.prefix.count - places[owner].prefix.count
                starts[leader].maximumLength = max(starts[leader].maximumLength, skipped + lengths[index])
                sources[index] = .following(leader, after: skipped)
                continue
            }
            owners[starts.count] = index
            sources[index] = .start(starts.count)
            starts.append(
                RolloutRequest.Start(
                    prefix: place.prefix, beginning: beginning.dropping(0, length: lengths[index]),
                    maximumLength: lengths[index], numbers: place.numbers,
                    noise: state.ahead(place.path).noise(.rollout).derived(prefix: place.candidate)))
        }
    }

    func isComplete(_ index: Int) -> Bool {
        if case .complete = sources[index] { true } else { false }
    }

    /// The rollouts of each place out of those of the starts.
    func rollouts(from made: [[Rollout]]) -> [[Rollout]] {
        places.indices.map { index in
            switch sources[index] {
            case .complete: [Rollout(finishReason: .stop)]
            case .known(let rollout): [rollout]
            case .start(let start):
                starts[start].maximumLength == lengths[index]
                    ? made[start] : made[start].map { $0.dropping(0, length: lengths[index]) }
            case .following(let start, let skipped):
                [made[start][0].dropping(skipped, length: lengths[index])]
            }
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
