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
        let rollouts = search.plan?.lookAhead.rollouts ?? 1
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
