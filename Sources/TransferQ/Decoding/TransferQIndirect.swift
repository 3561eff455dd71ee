/// Transfer Q*, indirect (NeurIPS 2024, section 3; theory.md section 4): the baseline is aligned with another reward, and
/// importance weights turn its rollouts into values under the policy aligned with the target.
///
/// The baseline's reward is the task's, or, without one, the implicit reward β·log(ρ_BL/ρ_sft).
public struct TransferQIndirect: DecodingMethod {
    public static let name = "transfer-q-indirect"
    public static let summary =
        "Transfer Q*, indirect: rollouts of a baseline with another reward, corrected by weights"

    let guidance: Guidance
    let lookAhead: LookAhead
    let beta: Double
    let clip: Double?

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters)
        lookAhead = try LookAhead(from: &parameters, rollouts: 8)
        beta = try parameters.number(
            "beta", default: 1, "a finite number above 0",
            "KL penalty that the policies are aligned with, in reward per nat"
        ) { $0 > 0 }
        clip = try parameters.optionalNumber(
            "clip", "a finite number above 0", "keep log-weights within this of their candidate's mean, nats"
        ) { $0 > 0 }
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public func warnings(for task: DecodingTask) -> [String] {
        var warnings: [String] = []
        if lookAhead.rollouts == 1 {
            warnings.append("with one rollout the weight cancels: the estimate is the uncorrected one; use several")
        }
        if lookAhead.sampling != .ancestral {
            warnings.append(
                "rollouts at another temperature than 1 are no draws from the baseline: the weights are off")
        }
        return warnings
    }

    public func demand(maximumLength: Int) -> RolloutDemand {
        guidance.demand(lookAhead, maximumLength: maximumLength, isScoredAgain: true)
    }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let scorer = RolloutScorer(
            policy: state.task.baseline, reward: try state.task.requireReward(for: Self.name), lookAhead: lookAhead)
        let estimator = ImportanceWeightedValue(
            scorer: scorer, baselineReward: state.task.baselineReward, beta: beta, clip: clip)
        return try await guidance.decide(state, estimator: estimator)
    }
}
