import TransferQ

/// A reward as it is written: one term `[MODIFIER:…]KIND:ARGUMENT[:WEIGHT]`, or several that are summed.
///
/// JSON: the terms, a list of strings.
///
///     ["head:Rewards/harmless.json", "length:30:0.5"]
public struct RewardSpec: Codable, Hashable, Sendable {
    public let terms: [String]

    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` without a term.
    public init(_ terms: [String]) throws {
        guard !terms.isEmpty, !terms.contains("") else {
            throw RuntimeError.invalidSpecification(
                what: "reward", reason: "give at least one term and none that is empty, for example length:40")
        }
        self.terms = terms
    }

    private init(checked terms: [String]) { self.terms = terms }

    /// The same terms, each with the weight 1.
    var unweighted: RewardSpec { RewardSpec(checked: terms.map { RewardCatalogue.reweighted($0, to: 1) }) }

    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode([String].self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(terms)
    }
}
