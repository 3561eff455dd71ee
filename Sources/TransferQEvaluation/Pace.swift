import TransferQ

/// How long answers took, prompt by prompt.
public struct Pace: Encodable, Sendable {
    public private(set) var seconds: [Double] = []
    public private(set) var tokens: [Int] = []

    public init() {}

    /// - Parameter tokens: at least one.
    public mutating func add(seconds: Double, tokens: Int) {
        self.seconds.append(seconds)
        self.tokens.append(tokens)
    }

    /// Total time over total tokens, the figure of every table; not a number without prompts.
    public var secondsPerToken: Double { seconds.reduce(0, +) / Double(tokens.reduce(0, +)) }

    public var ofPrompts: [Double] { zip(seconds, tokens).map { $0 / Double($1) } }

    /// How many times as long as `other` this takes.
    public func ratio(to other: Pace) -> PaceRatio {
        PaceRatio(
            total: secondsPerToken / other.secondsPerToken,
            median: TransferQEvaluation.median(zip(ofPrompts, other.ofPrompts).map { $0 / $1 }))
    }
}

/// How two sides' seconds for a token compare.
public struct PaceRatio: Encodable, Sendable {
    /// Total time over total tokens, of both sides: the quotient of what a table shows of them.
    public let total: Double
    /// Median of the ratios of single prompts (or rounds).
    public let median: Double

    /// Both, for a table.
    public func cells(digits: Int) -> [String] { [total.fixed(digits), median.fixed(digits)] }
}

/// The middle of the sorted values; NaN without any.
public func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
