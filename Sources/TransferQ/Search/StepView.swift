/// What is known of the candidates of one state.
struct StepView {
    let proposal: Proposal
    let state: AnswerState
    /// Priorities tilted by the values as far as they are known: the best score is the choice.
    var tilted: TiltedDistribution
    /// Candidates that are not out of the race.
    let remaining: [Int]

    init(_ proposal: Proposal, at state: AnswerState, search: CandidateSearch, lost: Set<Int> = []) {
        self.proposal = proposal
        self.state = state
        remaining = proposal.tokens.indices.filter { !lost.contains($0) }
        let range = search.range
        let rollouts = (search.estimator as? any RolloutEstimator)?.lookAhead.rollouts ?? 1
        let values = proposal.tokens.map { token -> CandidateValue in
            let text = state.response + [token]
            if let estimate = search.memory.estimate(of: text) { return .known(estimate.value) }
            guard let range else { return .unknown }
            return CandidateValue(meanOf: rollouts, known: search.memory.partial(of: text), within: range)
        }
        // The same in every search of a state, so that rounding cannot tell them apart.
        let origin =
            range.flatMap { $0.upperBound.isFinite ? $0.upperBound : nil }
            ?? values.compactMap(\.value).filter(\.isFinite).max() ?? 0
        tilted = TiltedDistribution(
            logTilt: proposal.priorities, values: values, alpha: search.alpha, origin: origin)
    }

    /// Q of a candidate; nil where it is not known, −∞ for an impossible one.
    func value(of index: Int) -> Double? { tilted.values[index].value }

    func isKnown(_ index: Int) -> Bool { value(of: index) != nil }

    /// Candidates that no other one is certain to beat.
    var contenders: [Int] { tilted.contenders(among: remaining) }
}

extension CandidateValue {
    /// The bounds of a mean of `count` rewards, of which some are known and all lie within `range`.
    init(meanOf count: Int, known rollouts: [ScoredRollout], within range: ClosedRange<Double>) {
        let (total, sum) = (Double(count), rollouts.reduce(0) { $0 + $1.reward })
        let rest = total - Double(rollouts.count)
        // Rounding of the sum must not exclude what the mean would not.
        let ends = [range.lowerBound, range.upperBound].filter(\.isFinite)
        let slack = rollouts.isEmpty ? 0 : ends.reduce(1e-12 * abs(sum)) { $0 + 1e-12 * abs($1) }
        // An end that is infinite bounds nothing, also with no rollout left: 0·∞ is no number.
        self = .bounded(
            low: range.lowerBound.isFinite ? (sum + rest * range.lowerBound) / total - slack : range.lowerBound,
            high: range.upperBound.isFinite ? (sum + rest * range.upperBound) / total + slack : range.upperBound)
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
        let contenders = isPruning ? view.contenders : view.remaining
        let open = contenders.filter { !view.isKnown($0) }
        let anchor = view.proposal.anchor
        let known = contenders.filter { view.isKnown($0) }
        let possible = known.filter { view.tilted.score(of: $0) != -.infinity }
        let winner =
            view.tilted.best(among: possible) ?? view.tilted.likeliest(among: open)
            ?? view.tilted.likeliest(among: contenders) ?? anchor
        if isPruning, contenders.count == 1 { return Verdict(open: [], winner: contenders[0]) }
        guard let confidence = settings.confidence, !needsAll, !open.isEmpty else {
            return Verdict(open: open, winner: winner)
        }
        // The least likely ones are left out while their chances add up to less than what is allowed.
        let allowed = memory.allowedRisk(rate: 1 - confidence)
        let best = view.tilted.best(among: known)
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
        if !view.isKnown(anchor), !wanted.isEmpty || isKnownAhead(anchor, view) { wanted.append(anchor) }
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
        let known = view.value(of: anchor).flatMap { $0.isFinite ? $0 : nil }
        // Whatever is possible beats what is not.
        if view.value(of: anchor) == -.infinity, best.map({ view.value(of: $0) == -.infinity }) ?? true { return 1 }
        let first = known ?? memory.lastValue ?? scale.typical
        var (rival, worth) = (anchor, first)
        if let best, let value = view.value(of: best), value.isFinite { (rival, worth) = (best, value) }
        let toBeat = view.tilted.valueToBeat(rival, at: worth, by: index)
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
