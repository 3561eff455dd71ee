import Foundation

/// Q̂_soft(s, z) = β·log mean[(ρ_sft/ρ_BL)(τ|s,z)·exp(r/β)] over rollouts τ of a baseline (docs/mathematics.md section 5).
///
/// Tilting π_sft by exp(Q_soft/β) token by token gives ρ_r^β exactly. The closer the baseline is to ρ_r^β, the fewer
/// rollouts are needed; from ρ_r^β itself one gives the exact value. A candidate all of whose rollouts the reference rules
/// out has the value β·log 0: it is ``ValueEstimate/impossible(rollouts:)``.
struct SoftValue: RolloutEstimator {
    let scorer: RolloutScorer
    let weighting: RolloutWeighting

    func estimates(for places: [ValuePlace], in state: AnswerState) async throws -> ValueEstimates {
        var (branches, usage) = try await scorer.branches(for: places, in: state, forRatios: true)
        let ratios = try await scorer.logRatios(of: branches, in: state, usage: &usage)
        let estimates = try branches.indices.map { index in
            branches[index].weigh(
                try zip(branches[index].rollouts, ratios[index]).map { try weighting.logTilt(of: $0.reward) + $1 },
                clip: weighting.clip)
            guard branches[index].hasPossibleRollout else {
                return ValueEstimate.impossible(rollouts: branches[index].rollouts)
            }
            let logs = branches[index].rollouts.compactMap(\.logWeight)
            return ValueEstimate(
                value: weighting.beta * (LogSpace.logSumExp(logs) - log(Double(logs.count))),
                rollouts: branches[index].rollouts, effectiveSampleSize: LogSpace.effectiveSampleSize(logs))
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}
