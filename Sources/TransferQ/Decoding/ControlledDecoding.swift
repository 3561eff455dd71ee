/// Controlled decoding (Mudgal et al., arXiv 2310.17022), with rollouts: Q(s, z) = Q^{ρ_sft}(s, z), estimated by rolling
/// every candidate out with the reference itself.
public struct ControlledDecoding: NamedDecodingMethod {
    public static let name = "cd"
    public static let summary = "controlled decoding: candidates rolled out by the reference itself"

    let guidance: Guidance
    let lookAhead: LookAhead

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters, hasTilt: false)
        lookAhead = try LookAhead(from: &parameters)
        try lookAhead.validate(candidates: guidance.k)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public var approximations: [String] { guidance.search.approximations }

    public func demand(maximumLength: Int) -> RolloutDemand { guidance.demand(lookAhead, maximumLength: maximumLength) }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let task = state.task
        let estimator = try task.estimator(
            rollingOut: task.policies.reference, lookAhead: lookAhead, tilted: .reference, method: Self.name)
        return try await guidance.decide(state, estimator: estimator)
    }
}
