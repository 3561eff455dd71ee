/// Transfer Q*, indirect (NeurIPS 2024, section 3; docs/mathematics.md section 4): the baseline is aligned with another reward, and
/// importance weights turn its rollouts into values under the policy aligned with the target.
///
/// The baseline's reward is the task's, or, without one, the implicit reward β·log(ρ_BL/ρ_sft).
public struct TransferQIndirect: NamedDecodingMethod {
    public static let name = "transfer-q-indirect"
    public static let summary =
        "Transfer Q*, indirect: rollouts of a baseline with another reward, corrected by weights"

    let guidance: Guidance
    let weighting: RolloutWeighting

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters)
        weighting = try RolloutWeighting(from: &parameters)
        try weighting.lookAhead.validate(candidates: guidance.k)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public func warnings(for task: DecodingTask) -> [String] {
        guard task.baseline !== task.reference else {
            return ["there is no baseline, so there is nothing to correct; give one"] + weighting.warnings
        }
        guard weighting.lookAhead.rollouts == 1 else { return weighting.warnings }
        return ["with one rollout the weight cancels: the estimate is the uncorrected one; use several"]
            + weighting.warnings
    }

    public var approximations: [String] { guidance.search.approximations }

    public var usesBaseline: Bool { true }

    public func demand(maximumLength: Int) -> RolloutDemand {
        guidance.demand(weighting.lookAhead, maximumLength: maximumLength)
    }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let scorer = RolloutScorer(
            policy: state.task.policies.baseline, reward: try state.task.requireReward(for: Self.name),
            lookAhead: weighting.lookAhead)
        let estimator = ImportanceWeightedValue(
            scorer: scorer, baselineReward: state.task.baselineReward, weighting: weighting,
            reference: state.task.policies.reference)
        return try await guidance.decide(state, estimator: estimator)
    }
}
