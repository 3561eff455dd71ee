/// Q(s, z) = r([s, z]): ARGS' value, the reward of the unfinished text (Khanov et al., arXiv 2402.01694).
///
/// A candidate's one "rollout" has no tokens: it carries the reward and its parts.
struct PrefixReward: ValueEstimator {
    let reward: any RewardModel

    var isMeanOfRewards: Bool { true }
    var valueRange: ClosedRange<Double>? { reward.range }
    func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale { ValueScale(of: reward, calibration) }

    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
        let completions = try await state.completions(adding: candidates, for: reward)
        var usage = Usage()
        let scores = try await UniqueCompletions(completions).scores(by: reward, usage: &usage)
        let estimates = scores.map { score in
            let rollout = Rollout(finishReason: .length)
            return ValueEstimate(
                value: score.reward,
                rollouts: [ScoredRollout(rollout: rollout, reward: score.reward, rewardParts: score.parts)])
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}
