/// How a search fills its batches; what it chooses does not depend on it.
struct SearchBatching: Sendable {
    /// Whether a greedy rollout of the chosen candidate goes on in the next step.
    let reuses: Bool
    /// Whether greedy rollouts note the candidates that they come past.
    let notesCandidates: Bool
    /// Whether candidates of coming steps share a batch with those of this one.
    var looksAhead: Bool
    /// Rollouts that a batch is filled up to.
    let width: Int
}

extension CandidateSearch {
    /// What to have evaluated now: the `open` candidates of this step that are wanted first, and, where rollouts are
    /// greedy, what coming steps will probably want on the way that the incumbent's rollout takes.
    ///
    /// Until another candidate wins, the coming steps follow that rollout, whose next candidates can be had in one pass. When
    /// one wins earlier, what was evaluated behind it is for nothing; the choice is the same.
    func places(for open: [Int], _ view: StepView) async throws -> [ValuePlace] {
        guard let plan else {
            return open.map { ValuePlace(candidate: [view.proposal.tokens[$0]], numbers: 0..<1) }
        }
        let looksAhead = batching.looksAhead && plan.lookAhead.sampling.isGreedy && rule.race == nil
        if looksAhead, let incumbents = incumbentsFirst(open, view, plan) { return incumbents }
        var places = firstWanted(open, view).map { place(view.proposal.tokens[$0], path: [], plan) }
        guard looksAhead else { return places }

        let path = expectedPath(view)
        var confidence = 1.0
        // The first step that is not looked at yet, and one behind those whose candidates are at hand.
        var (ahead, end) = (1, 1)
        var proposals: [Proposal] = []
        while ahead < path.count, places.count < width, confidence > Self.leastConfidence {
            if ahead == end {
                end = min(path.count, ahead + stride(places: places.count, ahead: ahead))
                proposals = try await proposer.proposals(along: Array(path.prefix(end - 1)), from: state)
            }
            let there = state.ahead(Array(path.prefix(ahead)))
            let proposal = proposals[ahead]
            let incumbent = proposal.incumbent
            guard proposal.tokens[incumbent] == path[ahead] else { return places }
            var view = StepView(proposal, at: there, search: self)
            view.tilted.assume(memory.lastValue, of: incumbent)
            let open = rule.gate?.leaves(proposal) ?? false ? [] : judge(view).open
            if !open.isEmpty {
                var needed = open.filter { $0 != incumbent }
                if memory.estimate(of: there.response + [path[ahead]]) == nil { needed.insert(incumbent, at: 0) }
                if places.count + needed.count > width { break }
                places += needed.map { place(proposal.tokens[$0], path: Array(path.prefix(ahead)), plan) }
                confidence *= 1 - memory.lossRate
            }
            ahead += 1
        }
        return places + incumbents(on: path, from: ahead, plan)
    }

    /// The incumbent and those of coming steps, where all that it takes is to extend one rollout: what they are worth tells
    /// which of the others are wanted at all. Nil where they are known, or do not matter.
    private func incumbentsFirst(
        _ open: [Int], _ view: StepView, _ plan: RolloutPlan
    ) -> [ValuePlace]? {
        let incumbent = view.proposal.incumbent
        guard open.contains(incumbent), isPrunedByValue, isKnownAhead(incumbent, view) else { return nil }
        return incumbents(on: proposer.expectedPath(of: view.proposal, from: state), from: 0, plan)
    }

    /// Whether what some candidates are worth excludes others.
    private var isPrunedByValue: Bool { rule.bounds.prunes && (rule.confidence != nil || range != nil) }

    /// The tokens of a path from a place on, as candidates whose values are not known yet, where another policy than the
    /// one that rolls out chooses the way the first one only.
    private func incumbents(on path: [Token], from start: Int, _ plan: RolloutPlan) -> [ValuePlace] {
        guard isPrunedByValue else { return [] }
        let isTilted = plan.policy === proposer.policy
        let places = path.indices.dropFirst(start).prefix(isTilted ? Self.incumbentsAhead : start == 0 ? 1 : 0)
        return places.compactMap { step in
            memory.estimate(of: state.response + path.prefix(step + 1)) == nil
                ? place(path[step], path: Array(path.prefix(step)), plan) : nil
        }
    }

    /// So many in a row: extending one rollout is a pass of one token each, cheap beside a batch of rollouts, and behind the
    /// token that another candidate wins it is for nothing.
    private static let incumbentsAhead = 12
    /// Chance of coming that far that is worth rollouts.
    private static let leastConfidence = 0.5

    /// Rollouts that a batch is filled up to.
    private var width: Int { batching.width }

    /// Of the open candidates those that still matter if the incumbent is worth what the last choice was, and the incumbent.
    private func firstWanted(_ open: [Int], _ view: StepView) -> [Int] {
        let incumbent = view.proposal.incumbent
        guard !view.isKnown(incumbent), open.contains(incumbent) else { return open }
        let middle = range.map { ($0.lowerBound + $0.upperBound) / 2 }
        guard let last = memory.lastValue ?? middle, last.isFinite else { return open }
        var assumed = view
        assumed.tilted.assume(last, of: incumbent)
        let still = judge(assumed).open
        return open.filter { $0 == incumbent || still.contains($0) }
    }

    /// The tokens that the answer takes if no other candidate wins, as far as they are known, without an end.
    private func expectedPath(_ view: StepView) -> [Token] {
        let best = view.tilted.best(among: Array(view.proposal.tokens.indices)) ?? view.proposal.incumbent
        return proposer.expectedPath(through: view.proposal.tokens[best], from: state)
    }

    /// How many coming states to have the candidates of in one pass.
    private func stride(places: Int, ahead: Int) -> Int {
        let perStep = max(1, Double(places) / Double(ahead))
        return min(8, max(2, Int(Double(width - places) / perStep)))
    }
}
