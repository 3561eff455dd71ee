/// What estimators hand back, checked before the search sees it: values may be a user's own (``SteeredDecoding``), a head's,
/// or come out of numbers that overflow.
extension ValueEstimator {
    /// - Throws: ``TransferQError`` that names the estimator and the first offending candidate.
    func checkedEstimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
        let values = try await estimates(for: candidates, in: state)
        try check(values, of: candidates)
        return values
    }

    /// The same of places further on, which take a plan.
    func checkedEstimates(for places: [ValuePlace], in state: AnswerState) async throws -> ValueEstimates {
        guard let rolloutPlan else { return try await checkedEstimates(for: places.map(\.candidate), in: state) }
        let values = try await rolloutPlan.estimates(places, state)
        try check(values, of: places.map(\.prefix))
        return values
    }

    private func check(_ values: ValueEstimates, of candidates: [[Token]]) throws {
        guard values.estimates.count == candidates.count else {
            throw TransferQError.valueCount(value: name, expected: candidates.count, got: values.estimates.count)
        }
        guard values.usage.isPlausible else {
            throw TransferQError.valueUsage(value: name, got: "\(values.usage)")
        }
        let range = valueRange
        // Means may round differently from the ends of a range.
        let ends = range.map { [$0.lowerBound, $0.upperBound] } ?? []
        let slack = 1e-9 * ends.filter(\.isFinite).reduce(1) { max($0, abs($1)) }
        for (estimate, candidate) in zip(values.estimates, candidates) where !estimate.isImpossible {
            guard estimate.value.isFinite else {
                throw TransferQError.valueNotFinite(value: name, candidate: candidate, got: "\(estimate.value)")
            }
            if let range, estimate.value < range.lowerBound - slack || estimate.value > range.upperBound + slack {
                throw TransferQError.valueOutsideRange(
                    value: name, candidate: candidate, got: estimate.value, range: range)
            }
        }
    }
}
