/// Leaves out candidates while their chances to win come to less than 1 − confidence a step, on average over the answer
/// (approximate; docs/mathematics.md section 7, statistical pruning).
struct ConfidenceRule: Sendable {
    /// Between 0.5 and 1.
    let confidence: Double
    /// Share of the candidates left out that are evaluated all the same, to check; between 0 and 1.
    let audit: Double
    let calibration: ConfidenceCalibration

    /// The scale that values differ on; with the range that the user states where the reward states none.
    func scale(of estimator: any ValueEstimator, statedRange: ClosedRange<Double>?) -> ValueScale {
        var scale = estimator.valueScale(calibration)
        if scale.range == nil, estimator.valueRange == nil { scale.range = statedRange }
        // An interval without an end has no middle to stretch around.
        if let range = scale.range, !(range.upperBound - range.lowerBound).isFinite { scale.range = nil }
        return scale
    }

    /// Splits candidates whose values are open: the least likely to win are left out while their chances add up to less
    /// than what is allowed.
    ///
    /// - Parameter best: the best candidate whose value is known.
    func split(
        _ open: [Int], against best: Int?, _ view: StepView, scale: ValueScale, memory: SearchMemory
    ) -> (wanted: [Int], leftOut: [Int], risk: Double) {
        let allowed = memory.allowedRisk(rate: 1 - confidence)
        let chances = open.map { ($0, chance(of: $0, against: best, view, scale: scale, memory: memory)) }
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
        return (wanted, leftOut, risk)
    }

    /// The chance that a candidate beats `best`, or the incumbent when nothing is known yet.
    private func chance(
        of index: Int, against best: Int?, _ view: StepView, scale: ValueScale, memory: SearchMemory
    ) -> Double {
        let incumbent = view.proposal.incumbent
        let known = view.value(of: incumbent).flatMap { $0.isFinite ? $0 : nil }
        // Whatever is possible beats what is not.
        if view.value(of: incumbent) == -.infinity, best.map({ view.value(of: $0) == -.infinity }) ?? true { return 1 }
        let first = known ?? memory.lastValue ?? scale.typical
        var (rival, worth) = (incumbent, first)
        if let best, let value = view.value(of: best), value.isFinite { (rival, worth) = (best, value) }
        let toBeat = view.tilted.valueToBeat(rival, at: worth, by: index)
        return memory.differences.chance(
            above: scale.surprise(of: toBeat, beside: first), spread: scale.spread,
            isGuess: known == nil)
    }

    /// Whether a candidate that was left out is evaluated all the same.
    func isAudited(_ token: Token, in state: AnswerState) -> Bool {
        state.noise(.audit).derived(Int(token)).uniform < audit
    }
}
