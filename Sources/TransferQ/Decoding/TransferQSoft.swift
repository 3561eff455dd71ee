/// Transfer Q* with soft values (theory.md section 5): π_sft tilted by Q_soft, which at α = β is ρ_r^β exactly.
public struct TransferQSoft: DecodingMethod {
    public static let name = "transfer-q-soft"
    public static let summary =
        "soft Transfer Q*: soft values from baseline rollouts; at alpha = beta the aligned policy itself"

    let guidance: Guidance
    let lookAhead: LookAhead
    let beta: Double
    let clip: Double?

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters, hasTilt: false)
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
        guard lookAhead.sampling != .ancestral else { return [] }
        return ["rollouts at another temperature than 1 are no draws from the baseline: the weights are off"]
    }

    public func demand(maximumLength: Int) -> RolloutDemand {
        guidance.demand(lookAhead, maximumLength: maximumLength, isScoredAgain: true)
    }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let scorer = RolloutScorer(
            policy: state.task.baseline, reward: try state.task.requireReward(for: Self.name), lookAhead: lookAhead)
        return try await guidance.decide(state, estimator: SoftValue(scorer: scorer, beta: beta, clip: clip))
    }
}
