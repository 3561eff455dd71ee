/// Q̂(s, z) = mean of r([s, z, τ_i]) over N rollouts τ_i of a policy (docs/mathematics.md section 3).
///
/// Rolled out by the reference this is controlled decoding's value, by an aligned baseline Transfer Q*'s (direct).
/// A candidate that ends the response has no rollouts: its value is the reward of the response.
struct RolloutMean: RolloutEstimator {
    let scorer: RolloutScorer

    var isMeanOfRewards: Bool { true }
    var valueRange: ClosedRange<Double>? { scorer.reward.range }

    func estimates(for places: [ValuePlace], in state: AnswerState) async throws -> ValueEstimates {
        let (branches, usage) = try await scorer.branches(for: places, in: state, forRatios: false)
        return ValueEstimates(estimates: branches.map { ValueEstimate(meanOf: $0.rollouts) }, usage: usage)
    }
}

extension ValueEstimate {
    init(meanOf rollouts: [ScoredRollout]) {
        let count = Double(rollouts.count)
        self.init(
            value: rollouts.reduce(0) { $0 + $1.reward } / count, rollouts: rollouts, effectiveSampleSize: count)
    }
}
