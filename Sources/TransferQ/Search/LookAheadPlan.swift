extension CandidateSearch {
    /// What to have evaluated now: the `open` candidates of this step that are wanted first, and, where rollouts are
    /// greedy, what coming steps will probably want on the way that the anchor's rollout takes.
    ///
    /// Until another candidate wins, the coming steps follow that rollout, whose next candidates can be had in one pass. When
    /// one wins earlier, what was evaluated behind it is for nothing; the choice is the same.
    func plan(_ open: [Int], view: StepView) async throws -> [ValuePlace] {
        guard let rollouts = estimator as? any RolloutEstimator else {
            return open.map { ValuePlace(candidate: [view.proposal.tokens[$0]], numbers: 0..<1) }
        }
        let wanted = firstWanted(open, view)
        var places = wanted.map { place(view.proposal.tokens[$0], path: [], rollouts) }
        let look = rollouts.lookAhead
        guard settings.isOn(.lookAhead), look.sampling.isGreedy, !needsAll, !settings.isRace else { return places }

        let path = expectedPath(view)
        var confidence = 1.0
        var ahead = 1
        while ahead < path.count, places.count < width, confidence > 0.5 {
            let end = min(path.count - 1, ahead + stride(places: places.count, ahead: ahead) - 1)
            let proposals = try await guidance.proposals(along: Array(path.prefix(end)), from: state)
            for step in ahead...end {
                let there = state.ahead(Array(path.prefix(step)))
                let proposal = proposals[step]
                let anchor = proposal.anchor
                guard proposal.tokens[anchor] == path[step] else { return places }
                if isGated(proposal) { continue }
                var view = StepView(proposal, at: there, search: self)
                view.assume(memory.lastValue, of: anchor)
                let open = judge(view).open
                guard !open.isEmpty else { continue }
                var needed = open.filter { $0 != anchor }
                if memory.estimate(of: there.response + [path[step]]) == nil { needed.insert(anchor, at: 0) }
                guard places.count + needed.count <= width else { return places }
                places += needed.map { place(proposal.tokens[$0], path: Array(path.prefix(step)), rollouts) }
                confidence *= 1 - memory.lossRate
                if confidence <= 0.5 { break }
            }
            ahead = end + 1
        }
        return places
    }

    /// Rollouts that a batch is filled up to.
    private var width: Int { settings.width ?? state.task.batchWidth }

    /// Of the open candidates those that still matter if the anchor is worth what the last choice was, and the anchor.
    private func firstWanted(_ open: [Int], _ view: StepView) -> [Int] {
        let anchor = view.proposal.anchor
        guard view.values[anchor] == nil, open.contains(anchor) else { return open }
        guard let last = memory.lastValue ?? range.map({ ($0.lowerBound + $0.upperBound) / 2 }) else { return open }
        var assumed = view
        assumed.assume(last, of: anchor)
        let still = judge(assumed).open
        return open.filter { $0 == anchor || still.contains($0) }
    }

    /// The tokens that the answer takes if no other candidate wins, as far as they are known, without an end.
    private func expectedPath(_ view: StepView) -> [Token] {
        let best = view.best(among: Array(view.values.indices)) ?? view.proposal.anchor
        return guidance.expectedPath(through: view.proposal.tokens[best], from: state)
    }

    /// How many coming states to have the candidates of in one pass.
    private func stride(places: Int, ahead: Int) -> Int {
        let perStep = max(1, Double(places) / Double(ahead))
        return min(8, max(2, Int(Double(width - places) / perStep)))
    }
}

extension Guidance {
    /// The tokens that the answer takes if no candidate wins that does not win at equal values.
    func expectedPath(of proposal: Proposal, from state: DecodingState) -> [Token] {
        expectedPath(through: proposal.tokens[proposal.anchor], from: state)
    }

    fileprivate func expectedPath(through token: Token, from state: DecodingState) -> [Token] {
        let path = [token] + state.memory.beginning(of: state.response + [token]).tokens
        return Array(path.prefix { !state.task.vocabulary.isEnd($0) }.prefix(state.remainingLength))
    }
}

extension StepView {
    /// Takes a candidate to be worth `value`, when that is not known.
    mutating func assume(_ value: Double?, of index: Int) {
        guard let value, values[index] == nil else { return }
        values[index] = value
        (lower[index], upper[index]) = (value, value)
    }
}
