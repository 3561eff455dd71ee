/// A kind of reward that can be asked for by name.
public struct RewardKind: Sendable {
    /// What stands before the first colon.
    public let name: String
    /// What follows it, as help shows it.
    public let argument: String
    public let summary: String
    let make: @Sendable (_ argument: String) async throws -> any RewardModel

    public init(
        name: String, argument: String, summary: String,
        make: @escaping @Sendable (_ argument: String) async throws -> any RewardModel
    ) {
        self.name = name
        self.argument = argument
        self.summary = summary
        self.make = make
    }
}

/// Reads rewards as they are written on a command line: `[MODIFIER:…]KIND:ARGUMENT[:WEIGHT]`.
///
///     let reward = try await RewardCatalogue.rules.parse(["length:40", "clip:0..1:keywords:calm,-hate:0.5"])
///
/// The weight counts in a sum. An argument that itself ends in a colon and digits needs a weight behind it; in the
/// address of a server the number behind the host is its port.
public struct RewardCatalogue: Sendable {
    public let kinds: [RewardKind]

    public init(kinds: [RewardKind]) { self.kinds = kinds }

    /// The kinds that need no model.
    public static let rules = RewardCatalogue(kinds: [
        RewardKind(
            name: "length", argument: "TARGET", summary: "1 at TARGET words, 0 at none and at twice as many; 0...1"
        ) { argument in
            guard let target = Int(argument) else {
                throw TransferQError.rewardSpecification(
                    specification: "length:\(argument)", reason: "give a number of words, for example length:40")
            }
            return try LengthReward(target: target)
        },
        RewardKind(
            name: "keywords", argument: "a,b,-c",
            summary: "share of wanted words present, minus share of unwanted ones; within -1...1"
        ) { argument in
            let words = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return try KeywordReward(
                wanted: words.filter { !$0.hasPrefix("-") },
                unwanted: words.filter { $0.hasPrefix("-") }.map { String($0.dropFirst()) })
        },
        RewardKind(name: "regex", argument: "PATTERN", summary: "1 where the pattern matches, else 0") {
            try RegexReward(pattern: $0)
        },
    ])

    /// What a modifier does to the reward behind it.
    public static let modifiers = [
        ("raw:", "as the reward's own numbers, although its file knows what typical answers are worth"),
        ("z:", "in standard deviations of typical answers; rewards whose file knows them are without it"),
        ("z:MEAN,SPREAD:", "the same with these figures (see: transferq reward calibrate)"),
        ("clip:LOW..HIGH:", "cut to an interval"),
        ("squash:LIMIT:", "bent smoothly into -LIMIT...LIMIT"),
    ]

    public func adding(_ more: [RewardKind]) -> RewardCatalogue { RewardCatalogue(kinds: kinds + more) }

    /// One reward for all `specifications`: the reward itself for a single one of weight 1, otherwise their sum.
    ///
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)``, or what making a reward throws.
    public func parse(_ specifications: [String]) async throws -> any RewardModel {
        var parts: [WeightedSumReward.Part] = []
        for specification in specifications { parts.append(try await part(specification[...])) }
        if parts.count == 1, parts[0].weight == 1 { return parts[0].reward }
        return try WeightedSumReward(parts: parts)
    }

    /// - Parameter isRaw: whether the reward stays in its own units.
    private func part(
        _ specification: Substring, isRaw: Bool = false
    ) async throws -> WeightedSumReward.Part {
        let pieces = specification.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let (name, rest) = (pieces[0], pieces.count == 2 ? pieces[1] : "")
        switch name {
        case "raw": return try await part(rest, isRaw: true)
        case "z": return try await standardized(rest)
        case "clip", "squash": return try await bounded(name, rest)
        default: break
        }
        guard pieces.count == 2, let kind = kinds.first(where: { $0.name == name }) else {
            throw TransferQError.rewardSpecification(
                specification: String(specification),
                reason: "write KIND:ARGUMENT with a kind of \(kinds.map(\.name).joined(separator: ", ")), "
                    + "for example length:40")
        }
        let (argument, weight) = Self.splitWeight(rest)
        guard weight.isFinite else {
            throw TransferQError.rewardSpecification(
                specification: String(specification), reason: "the weight must be a finite number, not \(weight)")
        }
        let reward = try await kind.make(String(argument))
        // α then means the same for every learned reward.
        let isScaled = !isRaw && reward.calibration != nil
        return WeightedSumReward.Part(reward: isScaled ? try StandardizedReward(reward) : reward, weight: weight)
    }

    /// What stands before the kind, and from the kind on.
    private static func splitModifiers(_ specification: Substring) -> (modifiers: Substring, rest: Substring) {
        let modifier = /(?:raw:|z:(?:[^,:]*,[^,:]*:)?|clip:[^:]*:|squash:[^:]*:)*/
        let end = specification.prefixMatch(of: modifier)?.range.upperBound ?? specification.startIndex
        return (specification[..<end], specification[end...])
    }

    /// The weight that a specification gives its reward; 1 where it gives none.
    package static func weight(of specification: String) -> Double {
        let argument = splitModifiers(specification[...]).rest.drop { $0 != ":" }.dropFirst()
        return splitWeight(argument).weight
    }

    /// A specification with another weight in place of its own.
    package static func reweighted(_ specification: String, to weight: Double) -> String {
        let (modifiers, rest) = splitModifiers(specification[...])
        let kind = rest.prefix { $0 != ":" }
        let argument = splitWeight(rest.dropFirst(kind.count + 1)).argument
        // Behind a bare address the number would be a port.
        let isBare = argument.hasPrefix("//") && !argument.dropFirst(2).contains("/")
        return "\(modifiers)\(kind):\(argument)\(isBare ? "/" : ""):\(weight)"
    }

    /// `ARGUMENT[:WEIGHT]`
    private static func splitWeight(_ text: Substring) -> (argument: Substring, weight: Double) {
        guard let colon = text.lastIndex(of: ":"), let number = Double(text[text.index(after: colon)...]) else {
            return (text, 1)
        }
        let argument = text[..<colon]
        if argument.hasPrefix("//"), !argument.dropFirst(2).contains("/") { return (text, 1) }
        return (argument, number)
    }

    /// `[MEAN,SPREAD:]REWARD`
    private func standardized(_ rest: Substring) async throws -> WeightedSumReward.Part {
        let pieces = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = pieces[0].split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
        if pieces.count == 2, numbers.count == 2, let mean = numbers[0], let spread = numbers[1] {
            let part = try await part(pieces[1], isRaw: true)
            let scale = RewardCalibration(mean: mean, spread: spread, count: 0)
            return .init(reward: try StandardizedReward(part.reward, by: scale), weight: part.weight)
        }
        let part = try await part(rest, isRaw: true)
        return .init(reward: try StandardizedReward(part.reward), weight: part.weight)
    }

    /// `LOW..HIGH:REWARD` and `LIMIT:REWARD`
    private func bounded(_ name: Substring, _ rest: Substring) async throws -> WeightedSumReward.Part {
        let pieces = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let bound: BoundedReward.Bound?
        if name == "clip" {
            bound = ClosedRange(written: pieces[0]).map { .clip($0) }
        } else {
            bound = Double(pieces[0]).flatMap { $0.isFinite && $0 > 0 ? .squash($0) : nil }
        }
        guard let bound, pieces.count == 2 else {
            throw TransferQError.rewardSpecification(
                specification: "\(name):\(rest)",
                reason: name == "clip"
                    ? "write clip:LOW..HIGH:REWARD with LOW below HIGH, for example clip:-2..2:length:40"
                    : "write squash:LIMIT:REWARD with a limit above 0, for example squash:3:length:40")
        }
        let part = try await part(pieces[1])
        return .init(reward: BoundedReward(base: part.reward, bound: bound), weight: part.weight)
    }
}
