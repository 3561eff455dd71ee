/// What a policy has to write for a number of places, nothing twice.
///
/// A greedy rollout that passes another place *is* that place's rollout from there on (docs/mathematics.md section 7), so the
/// other follows it: the one rollout is made as long as both need.
struct PlaceRollouts {
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

    init(_ places: [ValuePlace], in state: AnswerState, lookAhead: LookAhead, wantsStates: Bool) {
        self.places = places
        // The shallowest first: others may follow it.
        var owners: [Int: Int] = [:]
        lengths = places.map {
            min($0.horizon ?? lookAhead.horizon, max(0, state.remainingLength - $0.prefix.count))
        }
        sources = [Source](repeating: .complete, count: places.count)
        for index in places.indices.sorted(by: { places[$0].prefix.count < places[$1].prefix.count }) {
            let place = places[index]
            if lengths[index] == 0 || state.isEnded(by: place.prefix) { continue }
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
