/// What a search may leave out: the parts of one rule, in the order in which they are asked.
struct SkipRule: Sendable {
    /// Whether a step needs any value; nil where all do.
    let gate: Gate?
    /// What cannot win.
    let bounds: BoundRule
    /// What is too unlikely to win; nil where chances do not count.
    let confidence: ConfidenceRule?
    /// What drops out by a first look; nil without a race.
    let race: RaceRule?

    /// The same without leaving anything out.
    var evaluatingAll: SkipRule {
        SkipRule(
            gate: nil, bounds: BoundRule(prunes: false, statedRange: bounds.statedRange), confidence: nil, race: nil)
    }

    /// What is to be evaluated of a step, and the choice as things stand.
    ///
    /// - Parameters:
    ///   - scale: that of the confidence rule; nil without one.
    ///   - isIncumbentAtHand: whether the value of the candidate that wins at equal values costs next to nothing.
    func judge(
        _ view: StepView, scale: ValueScale?, memory: SearchMemory, isIncumbentAtHand: @autoclosure () -> Bool
    ) -> Verdict {
        let contenders = bounds.prunes ? view.contenders : view.remaining
        let open = contenders.filter { !view.isKnown($0) }
        let incumbent = view.proposal.incumbent
        let known = contenders.filter { view.isKnown($0) }
        let possible = known.filter { view.tilted.score(of: $0) != -.infinity }
        let winner =
            view.tilted.best(among: possible) ?? view.tilted.likeliest(among: open)
            ?? view.tilted.likeliest(among: contenders) ?? incumbent
        if bounds.prunes, contenders.count == 1 { return Verdict(open: [], winner: contenders[0]) }
        guard let confidence, let scale, !open.isEmpty else { return Verdict(open: open, winner: winner) }
        let best = view.tilted.best(among: known)
        var (wanted, leftOut, risk) = confidence.split(
            open.filter { $0 != incumbent }, against: best, view, scale: scale, memory: memory)
        if !view.isKnown(incumbent), !wanted.isEmpty || isIncumbentAtHand() { wanted.append(incumbent) }
        return Verdict(open: wanted.sorted(), winner: winner, risk: risk, leftOut: leftOut)
    }
}

/// What a rule makes of a view.
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
