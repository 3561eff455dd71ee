/// What is known of the candidates of one state.
struct StepView {
    let proposal: Proposal
    let state: AnswerState
    /// Q of each; nil where it is not known, −∞ for an impossible candidate.
    var values: [Double?]
    /// Bounds of Q of each.
    var lower: [Double]
    var upper: [Double]
    /// Candidates that are out of the race.
    let lost: Set<Int>
    /// A number that is taken off every value, so that a small α does not overflow; the same in every search of a state,
    /// so that rounding cannot tell them apart.
    let origin: Double
    let alpha: Double

    init(_ proposal: Proposal, at state: AnswerState, search: CandidateSearch, lost: Set<Int> = []) {
        self.proposal = proposal
        self.state = state
        self.lost = lost
        alpha = search.alpha
        let range = search.range
        let texts = proposal.tokens.map { state.response + [$0] }
        values = texts.map { search.memory.estimate(of: $0)?.value }
        origin =
            range.flatMap { $0.upperBound.isFinite ? $0.upperBound : nil }
            ?? values.compactMap { $0 }.filter(\.isFinite).max() ?? 0
        lower = []
        upper = []
        let rollouts = Double((search.estimator as? any RolloutEstimator)?.lookAhead.rollouts ?? 1)
        for (text, value) in zip(texts, values) {
            var (low, high) = (range?.lowerBound ?? -.infinity, range?.upperBound ?? .infinity)
            if let value {
                (low, high) = (value, value)
            } else if let range {
                let partial = search.memory.partial(of: text)
                let sum = partial.reduce(0) { $0 + $1.reward }
                let rest = rollouts - Double(partial.count)
                // Rounding of the sum must not exclude what the mean would not.
                let ends = [range.lowerBound, range.upperBound].filter(\.isFinite)
                let slack = partial.isEmpty ? 0 : ends.reduce(1e-12 * abs(sum)) { $0 + 1e-12 * abs($1) }
                // An end that is infinite bounds nothing, also with no rollout left: 0·∞ is no number.
                if range.lowerBound.isFinite { low = (sum + rest * range.lowerBound) / rollouts - slack }
                if range.upperBound.isFinite { high = (sum + rest * range.upperBound) / rollouts + slack }
            }
            lower.append(low)
            upper.append(high)
        }
    }

    func score(_ index: Int, value: Double) -> Double { proposal.priorities[index] + (value - origin) / alpha }

    /// The score of a candidate whose value is known.
    func score(of index: Int) -> Double? { values[index].map { score(index, value: $0) } }

    /// The best of candidates whose values are known, the first of equal ones; nil without any. Those of score −∞ rank last:
    /// impossible ones as if they were worth the same, and behind them what the tilted policy rules out.
    func best(among indices: [Int]) -> Int? {
        var best: (index: Int, score: Double)?
        for index in indices {
            guard let score = score(of: index), score > -.infinity else { continue }
            if best.map({ score > $0.score }) ?? true { best = (index, score) }
        }
        return best?.index ?? likeliest(among: indices.filter { values[$0] != nil })
    }

    /// The one that wins at equal values, the first of equal ones; nil without any.
    func likeliest(among indices: [Int]) -> Int? {
        indices.reduce(nil as Int?) { best, index in
            best.map { proposal.priorities[index] > proposal.priorities[$0] ? index : $0 } ?? index
        }
    }

    /// Candidates that no other one is certain to beat; all where none is known to be possible.
    var contenders: [Int] {
        let indices = values.indices.filter { !lost.contains($0) }
        var sure = (index: 0, score: -Double.infinity)
        for index in indices where lower[index] > -.infinity {
            let score = score(index, value: lower[index])
            if score > sure.score { sure = (index, score) }
        }
        guard sure.score > -.infinity else { return indices }
        return indices.filter { index in
            let most = upper[index] < .infinity ? score(index, value: upper[index]) : .infinity
            return most > sure.score || (most == sure.score && index <= sure.index) || index == sure.index
        }
    }
}

/// What a search makes of a view.
struct Verdict {
    /// Candidates whose values could change the choice; the choice is made when there are none.
    var open: [Int]
    /// The choice as things stand.
    var winner: Int
    /// The chance that a candidate left out would have won.
    var risk = 0.0
    /// Candidates that could win and are left out as too unlikely to.
    var leftOut: [Int] = []
}

extension CandidateSearch {
    func judge(_ view: StepView) -> Verdict {
        let isPruning = settings.isOn(.prune) && !needsAll
        let contenders = isPruning ? view.contenders : view.values.indices.filter { !view.lost.contains($0) }
        let open = contenders.filter { view.values[$0] == nil }
        let anchor = view.proposal.anchor
        let known = contenders.filter { view.values[$0] != nil }
        let possible = known.filter { view.score(of: $0) != -.infinity }
        let winner =
            view.best(among: possible) ?? view.likeliest(among: open) ?? view.likeliest(among: contenders) ?? anchor
        if isPruning, contenders.count == 1 { return Verdict(open: [], winner: contenders[0]) }
        guard let confidence = settings.confidence, !needsAll, !open.isEmpty else {
            return Verdict(open: open, winner: winner)
        }
        // The least likely ones are left out while their chances add up to less than what is allowed.
        let allowed = memory.allowedRisk(rate: 1 - confidence)
        let best = view.best(among: known)
        let chances = open.filter { $0 != anchor }.map { ($0, chance(of: $0, against: best, view)) }
        var risk = 0.0
        var (wanted, leftOut): ([Int], [Int]) = ([], [])
        for (index, chance) in chances.sorted(by: { ($0.1, $0.0) < ($1.1, $1.0) }) {
            if risk + chance < allowed {
                risk += chance
                leftOut.append(index)
            } else {
                wanted.append(index)
            }
        }
        if view.values[anchor] == nil, !wanted.isEmpty || isKnownAhead(anchor, view) { wanted.append(anchor) }
        return Verdict(open: wanted.sorted(), winner: winner, risk: risk, leftOut: leftOut)
    }

    /// Whether a candidate's greedy rollout has but to be extended, so that its value costs next to nothing.
    func isKnownAhead(_ index: Int, _ view: StepView) -> Bool {
        guard let rollouts = estimator as? any RolloutEstimator, rollouts.lookAhead.sampling.isGreedy,
            settings.isOn(.reuse)
        else { return false }
        return !memory.beginning(of: view.state.response + [view.proposal.tokens[index]]).tokens.isEmpty
    }

    /// The chance that a candidate beats `best`, or the anchor when nothing is known yet.
    func chance(of index: Int, against best: Int?, _ view: StepView) -> Double {
        let anchor = view.proposal.anchor
        let scale = scale
        let known = view.values[anchor].flatMap { $0.isFinite ? $0 : nil }
        // Whatever is possible beats what is not.
        if view.values[anchor] == -.infinity, best.map({ view.values[$0] == -.infinity }) ?? true { return 1 }
        let first = known ?? memory.lastValue ?? scale.typical
        var (rival, toBeat) = (anchor, first)
        if let best, let value = view.values[best], value.isFinite { (rival, toBeat) = (best, value) }
        toBeat += alpha * (view.proposal.priorities[rival] - view.proposal.priorities[index])
        return memory.differences.chance(
            above: scale.surprise(of: toBeat, beside: first), spread: scale.spread,
            isGuess: known == nil)
    }

    /// The scale that values differ on; with the range that the user states where the reward states none.
    var scale: ValueScale {
        var scale = estimator.valueScale(calibration)
        if scale.range == nil, estimator.valueRange == nil { scale.range = settings.range }
        // An interval without an end has no middle to stretch around.
        if let range = scale.range, !(range.upperBound - range.lowerBound).isFinite { scale.range = nil }
        return scale
    }

    func isAudited(_ token: Token) -> Bool {
        state.noise(.audit).derived(Int(token)).uniform < settings.audit
    }
}
