import Foundation

/// Q̂(s, z) = Σ w_i·r_i / Σ w_i over rollouts of a baseline that was aligned with another reward (docs/mathematics.md section 4):
/// the value under the policy that is aligned with the target.
///
/// w = exp((r − r_BL)/β), or, when r_BL is not at hand, exp(r/β)·ρ_sft(τ|s,z)/ρ_BL(τ|s,z), its implicit form. All in
/// log space. With one rollout the weight cancels. A rollout that the reference rules out has no weight; a candidate all
/// of whose rollouts are ruled out is ``ValueEstimate/impossible(rollouts:)``.
struct ImportanceWeightedValue: RolloutEstimator {
    let scorer: RolloutScorer
    let baselineReward: (any RewardModel)?
    let weighting: RolloutWeighting

    /// A weighted mean lies where the rewards do, and an impossible candidate below all.
    var valueRange: ClosedRange<Double>? {
        scorer.reward.range.map { isEveryRolloutPossible ? $0 : -.infinity...$0.upperBound }
    }
    /// Whether no weight can be 0: it takes the ratio of two policies for that.
    let isEveryRolloutPossible: Bool

    /// - Parameter reference: of the task, whose ratio to the scorer's policy stands in for the baseline's reward.
    init(
        scorer: RolloutScorer, baselineReward: (any RewardModel)?, weighting: RolloutWeighting,
        reference: CheckedPolicy
    ) {
        self.scorer = scorer
        self.baselineReward = baselineReward
        self.weighting = weighting
        isEveryRolloutPossible = baselineReward != nil || reference === scorer.policy
    }

    func estimates(for places: [ValuePlace], in state: AnswerState) async throws -> ValueEstimates {
        var (branches, usage) = try await scorer.branches(
            for: places, in: state, forRatios: baselineReward == nil)
        let logWeights: [[Double]]
        if let baselineReward {
            let unique = UniqueCompletions(branches.flatMap(\.completions))
            var rewards = try await unique.scores(by: baselineReward, usage: &usage).map(\.reward)[...]
            logWeights = try branches.map { branch in
                defer { rewards = rewards.dropFirst(branch.rollouts.count) }
                return try zip(branch.rollouts, rewards).map { try weighting.logTilt(of: $0.reward - $1) }
            }
        } else {
            logWeights = try zip(branches, try await scorer.logRatios(of: branches, in: state, usage: &usage)).map {
                branch, ratios in
                try zip(branch.rollouts, ratios).map { try weighting.logTilt(of: $0.reward) + $1 }
            }
        }
        for index in branches.indices { branches[index].weigh(logWeights[index], clip: weighting.clip) }
        let estimates = branches.map { branch in
            guard branch.hasPossibleRollout else { return ValueEstimate.impossible(rollouts: branch.rollouts) }
            let logs = LogSpace.logSoftmax(branch.rollouts.compactMap(\.logWeight))
            let value = zip(logs, branch.rollouts).reduce(0) { $0 + exp($1.0) * $1.1.reward }
            return ValueEstimate(
                value: value, rollouts: branch.rollouts, effectiveSampleSize: LogSpace.effectiveSampleSize(logs))
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}

extension RolloutScorer.Branch {
    /// Gives every rollout its log-weight.
    ///
    /// - Parameter clip: keeps finite ones within this of the mean of the finite ones. A rollout that the reference rules
    ///   out, −∞, keeps no weight at all: no clipping makes it possible, and it has no part in the mean.
    mutating func weigh(_ logWeights: [Double], clip: Double?) {
        let finite = logWeights.filter(\.isFinite)
        let mean = finite.reduce(0) { $0 + $1 / Double(finite.count) }
        for index in rollouts.indices {
            let weight = logWeights[index]
            rollouts[index].logWeight =
                weight.isFinite ? clip.map { min(max(weight, mean - $0), mean + $0) } ?? weight : weight
        }
    }

    /// Whether any rollout has a weight above 0.
    var hasPossibleRollout: Bool { rollouts.contains { $0.logWeight != -.infinity } }
}
