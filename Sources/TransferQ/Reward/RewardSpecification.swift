/// Reads rewards as they are written on a command line: `KIND:ARGUMENT`, with `:WEIGHT` behind it when it is part of a
/// sum.
///
/// | kind | argument | range |
/// |---|---|---|
/// | `length` | target number of words | 0...1 |
/// | `keywords` | wanted words, unwanted ones with `-` before them, split by commas | within −1...1 |
/// | `regex` | a pattern; one that ends in `:` and digits needs a weight behind it | 0...1 |
public enum RewardSpecification {
    /// The only list of reward kinds.
    static let kinds: [String: @Sendable (_ argument: String) throws -> any RewardModel] = [
        "length": { argument in
            guard let target = Int(argument) else {
                throw TransferQError.rewardSpecification(
                    specification: "length:\(argument)", reason: "give a number of words, for example length:40")
            }
            return try LengthReward(target: target)
        },
        "keywords": { argument in
            let words = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return try KeywordReward(
                wanted: words.filter { !$0.hasPrefix("-") },
                unwanted: words.filter { $0.hasPrefix("-") }.map { String($0.dropFirst()) })
        },
        "regex": { try RegexReward(pattern: $0) },
    ]

    /// One reward for all `specifications`: the reward itself for a single one of weight 1, otherwise their sum.
    ///
    ///     let reward = try RewardSpecification.parse(["length:40", "keywords:calm,-hate:0.5"])
    ///
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)``.
    public static func parse(_ specifications: [String]) throws -> any RewardModel {
        let parts = try specifications.map(part)
        if parts.count == 1, parts[0].weight == 1 { return parts[0].reward }
        return try WeightedSumReward(parts: parts)
    }

    private static func part(_ specification: String) throws -> WeightedSumReward.Part {
        let pieces = specification.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard pieces.count == 2, let make = kinds[String(pieces[0])] else {
            throw TransferQError.rewardSpecification(
                specification: specification,
                reason: "write KIND:ARGUMENT with a kind of \(kinds.keys.sorted().joined(separator: ", ")), "
                    + "for example length:40")
        }
        var argument = pieces[1]
        var weight = 1.0
        if let colon = argument.lastIndex(of: ":"), let number = Double(argument[argument.index(after: colon)...]) {
            weight = number
            argument = argument[..<colon]
        }
        guard weight.isFinite else {
            throw TransferQError.rewardSpecification(
                specification: specification, reason: "the weight must be a finite number, not \(weight)")
        }
        return WeightedSumReward.Part(reward: try make(String(argument)), weight: weight)
    }
}
