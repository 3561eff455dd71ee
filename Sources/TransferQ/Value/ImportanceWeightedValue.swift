import Foundation

/// Q̂(s, z) = Σ w_i·r_i / Σ w_i over rollouts of a baseline that was aligned with another reward (theory.md section 4):
/// the value under the policy that is aligned with the target.
///
/// w = exp((r − r_BL)/β), or, when r_BL is not at hand, exp(r/β)·ρ_sft(τ|s,z)/ρ_BL(τ|s,z), its implicit form. All in
/// log space. With one rollout the weight cancels.
struct ImportanceWeightedValue: RolloutEstimator {
    let scorer: RolloutScorer
    let baselineReward: (any RewardModel)?
    let weighting: RolloutWeighting

    var isMean: Bool { false }
    /// A weighted mean lies where the rewards do.
    var valueRange: ClosedRange<Double>? { scorer.reward.range }

    func estimates(for places: [ValuePlace], in state: DecodingState) async throws -> ValueEstimates {
        var (branches, usage) = try await scorer.branches(
            for: places, in: state, forRatios: baselineReward == nil)
        let logWeights: [[Double]]
        if let baselineReward {
            let unique = UniqueCompletions(branches.flatMap(\.completions))
            var rewards = try await unique.scores(by: baselineReward, usage: &usage).map(\.reward)[...]
            logWeights = branches.map { branch in
                defer { rewards = rewards.dropFirst(branch.rollouts.count) }
                return zip(branch.rollouts, rewards).map { ($0.reward - $1) / weighting.beta }
            }
        } else {
            logWeights = zip(branches, try await scorer.logRatios(of: branches, in: state, usage: &usage)).map {
                branch, ratios in
                zip(branch.rollouts, ratios).map { $0.reward / weighting.beta + $1 }
            }
        }
        for index in branches.indices { branches[index].weigh(logWeights[index], clip: weighting.clip) }
        let estimates = branches.map { branch in
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
    mutating func weigh(_ logWeights: [Double], clip: Double?) {
        let mean = logWeights.reduce(0, +) / Double(logWeights.count)
        for index in rollouts.indices {
            let weight = logWeights[index]
            rollouts[index].logWeight = clip.map { min(max(weight, mean - $0), mean + $0) } ?? weight
        }
    }
}
