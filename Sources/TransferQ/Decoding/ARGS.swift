/// ARGS (Khanov et al., arXiv 2402.01694): Q(s, z) = r([s, z]), the reward of the unfinished text. No look-ahead.
public struct ARGS: NamedDecodingMethod {
    public static let name = "args"
    public static let summary = "ARGS: candidates judged by the reward of the unfinished text"

    let guidance: Guidance

    public init(from parameters: inout ParameterReader) throws {
        guidance = try Guidance(from: &parameters, hasTilt: false, hasBlocks: false)
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        guard hasReward else { throw TransferQError.missingReward(method: Self.name) }
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public var approximations: [String] { guidance.search.approximations }

    public func demand(maximumLength: Int) -> RolloutDemand { .none }

    public func decide(_ state: DecodingState) async throws -> Decision {
        let reward = try state.task.requireReward(for: Self.name)
        return try await guidance.decide(state, estimator: PrefixReward(reward: reward))
    }
}
