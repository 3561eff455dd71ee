import TransferQ

/// How long answers took, prompt by prompt.
package struct Pace: Encodable, Sendable {
    package private(set) var seconds: [Double] = []
    package private(set) var tokens: [Int] = []

    package init() {}

    /// - Parameter tokens: at least one.
    package mutating func add(seconds: Double, tokens: Int) {
        self.seconds.append(seconds)
        self.tokens.append(tokens)
    }

    /// Total time over total tokens, the figure of every table; not a number without prompts.
    package var secondsPerToken: Double { seconds.reduce(0, +) / Double(tokens.reduce(0, +)) }

    var ofPrompts: [Double] { zip(seconds, tokens).map { $0 / Double($1) } }

    /// How many times as long as `other` this takes.
    package func ratio(to other: Pace) -> PaceRatio {
        PaceRatio(
            total: secondsPerToken / other.secondsPerToken,
            median: TransferQCLI.median(zip(ofPrompts, other.ofPrompts).map { $0 / $1 }))
    }
}

/// How two sides' seconds for a token compare.
package struct PaceRatio: Encodable, Sendable {
    /// Total time over total tokens, of both sides: the quotient of what a table shows of them.
    package let total: Double
    /// Median of the ratios of single prompts (or rounds).
    package let median: Double

    /// Both, for a table.
    func cells(digits: Int) -> [String] { [total.fixed(digits), median.fixed(digits)] }
}
