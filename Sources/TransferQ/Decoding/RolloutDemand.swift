/// The most that one step rolls out at the same time.
public struct RolloutDemand: Hashable, Sendable {
    public var sequences: Int
    /// Tokens kept for each sequence beyond the response.
    public var tokensPerSequence: Int
    /// Whether looking ahead fills batches up to the task's width.
    public var isFilledUp = false

    public static let none = RolloutDemand(sequences: 0, tokensPerSequence: 0)

    /// Absurd sizes are cut to ones that no model can meet, so that arithmetic with them cannot overflow.
    public init(sequences: Int, tokensPerSequence: Int) {
        self.sequences = min(sequences, 1 << 30)
        self.tokensPerSequence = min(tokensPerSequence, 1 << 30)
    }
}

extension LookAhead {
    /// What rolling out `candidates` at once takes.
    func demand(candidates: Int, length: Int, maximumLength: Int) -> RolloutDemand {
        RolloutDemand(
            sequences: candidates * rollouts,
            tokensPerSequence: min(length, maximumLength) + min(horizon, maximumLength))
    }
}
