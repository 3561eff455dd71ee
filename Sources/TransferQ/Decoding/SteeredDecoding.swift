/// Decoding by values of your own: what a method is made of, without a name or a place in the table.
///
///     let method = SteeredDecoding(guidance: try Guidance(k: 10, alpha: 0.5), estimator: myValues)
public struct SteeredDecoding: DecodingMethod {
    public static let name = "steered"
    public static let summary = "the k most likely tokens, tilted by values of the caller's"

    let guidance: Guidance
    let estimator: any ValueEstimator

    public init(guidance: Guidance, estimator: any ValueEstimator) {
        self.guidance = guidance
        self.estimator = estimator
    }

    /// - Throws: always, since values cannot be named by a parameter.
    public init(from parameters: inout ParameterReader) throws {
        throw TransferQError.unknownMethod(name: Self.name, known: DecodingMethods.table.map { $0.name })
    }

    public func validate(vocabularySize: Int, hasReward: Bool) throws {
        try guidance.validate(vocabularySize: vocabularySize)
    }

    public func demand(maximumLength: Int) -> RolloutDemand { .none }

    public func decide(_ state: DecodingState) async throws -> Decision {
        try await guidance.decide(state, estimator: estimator)
    }
}
