/// Transfer Q* with soft values (docs/mathematics.md section 5): π_sft tilted by Q_soft, which at α = β is ρ_r^β exactly.
public struct TransferQSoft: NamedDecodingMethod {
    public static let name = "transfer-q-soft"
    public static let summary =
        "soft Transfer Q*: soft values from baseline rollouts; at alpha = beta the aligned policy itself"

    let guidance: Guidance
    let weighting: RolloutWeighting

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters, hasTilt: false)
        weighting = try RolloutWeighting(from: &parameters)
        try weighting.lookAhead.validate(candidates: guidance.k)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public func warnings(for task: DecodingTask) -> [String] {
        weighting.warnings
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
        return try await guidance.decide(state, estimator: SoftValue(scorer: scorer, weighting: weighting))
    }
}
