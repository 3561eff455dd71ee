/// Decoding by values of your own: what a method is made of, without a name or a place in the table.
///
///     let method = SteeredDecoding(guidance: try Guidance(k: 10, alpha: 0.5), estimator: myValues)
public struct SteeredDecoding: DecodingMethod {
    let guidance: Guidance
    let estimator: any ValueEstimator

    public init(guidance: Guidance, estimator: any ValueEstimator) {
        self.guidance = guidance
        self.estimator = estimator
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        try guidance.validate(vocabularySize: vocabularySize)
    }

    /// What the estimator rolls out is its own business: give the policies contexts with room for it.
    public var approximations: [String] { guidance.search.approximations }

    public func demand(maximumLength: Int) -> RolloutDemand { .none }

    public func decide(_ state: DecodingState) async throws -> Decision {
        try await guidance.decide(state, estimator: estimator)
    }
}
