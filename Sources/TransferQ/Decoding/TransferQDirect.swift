/// Transfer Q*, direct (NeurIPS 2024, section 3): Q(s, z) = Q^{ρ_BL}(s, z), estimated by rolling every candidate out
/// with a baseline that is already aligned with the target reward.
///
/// With the reference as its own baseline it is controlled decoding with rollouts.
public struct TransferQDirect: DecodingMethod {
    public static let name = "transfer-q"
    public static let summary = "Transfer Q*, direct: candidates rolled out by the aligned baseline"

    let guidance: Guidance
    let lookAhead: LookAhead

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters)
        lookAhead = try LookAhead(from: &parameters)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public func demand(maximumLength: Int) -> RolloutDemand {
        RolloutDemand(
            sequences: guidance.k * lookAhead.rollouts,
            tokensPerSequence: 1 + min(lookAhead.horizon, maximumLength))
    }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let reward = try state.task.requireReward(for: Self.name)
        let estimator = RolloutMean(policy: state.task.baseline, reward: reward, lookAhead: lookAhead)
        return try await guidance.decide(state, estimator: estimator)
    }
}
