/// Transfer Q*, direct (NeurIPS 2024, section 3): Q(s, z) = Q^{ρ_BL}(s, z), estimated by rolling every candidate out
/// with a baseline that is already aligned with the target reward.
public struct TransferQDirect: NamedDecodingMethod {
    public static let name = "transfer-q"
    public static let summary = "Transfer Q*, direct: candidates rolled out by the aligned baseline"

    let guidance: Guidance
    let lookAhead: LookAhead

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters)
        lookAhead = try LookAhead(from: &parameters)
        try lookAhead.validate(candidates: guidance.k)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public func warnings(for task: DecodingTask) -> [String] {
        guard task.baseline === task.reference else { return [] }
        return ["there is no baseline, so the reference rolls out for itself: this is controlled decoding (cd)"]
    }

    public var approximations: [String] { guidance.search.approximations }

    public var usesBaseline: Bool { true }

    public func demand(maximumLength: Int) -> RolloutDemand { guidance.demand(lookAhead, maximumLength: maximumLength) }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let task = state.task
        let estimator = try task.estimator(
            rollingOut: task.policies.baseline, lookAhead: lookAhead, tilted: guidance.tilt, method: Self.name)
        return try await guidance.decide(state, estimator: estimator)
    }
}
