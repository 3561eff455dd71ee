/// Decides which candidates of a step get a value.
///
/// All do, here: the plain algorithm, and the yardstick for every faster search.
struct CandidateSearch {
    let estimator: any ValueEstimator

    /// A value for each candidate, in order.
    func values(for candidates: [[Token]], in state: DecodingState) async throws -> ValueEstimates {
        let values = try await estimator.estimates(for: candidates, in: state)
        for (candidate, estimate) in zip(candidates, values.estimates) where !estimate.value.isFinite {
            throw TransferQError.valueNotFinite(candidate: candidate, value: "\(estimate.value)")
        }
        return values
    }
}
