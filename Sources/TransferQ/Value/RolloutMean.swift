/// Q̂(s, z) = mean of r([s, z, τ_i]) over N rollouts τ_i of a policy (theory.md section 3).
///
/// Rolled out by the reference this is controlled decoding's value, by an aligned baseline Transfer Q*'s (direct).
/// A candidate that ends the response has no rollouts: its value is the reward of the response.
struct RolloutMean: ValueEstimator {
    let scorer: RolloutScorer

    func estimates(for candidates: [[Token]], in state: DecodingState) async throws -> ValueEstimates {
        let (branches, usage) = try await scorer.branches(for: candidates, in: state)
        let estimates = branches.map { branch in
            let count = Double(branch.rollouts.count)
            return ValueEstimate(
                value: branch.rollouts.reduce(0) { $0 + $1.reward } / count, rollouts: branch.rollouts,
                effectiveSampleSize: count)
        }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}
