import TransferQ

/// How much of a search's gain in reward over plain decoding another one keeps, with its 95 % interval.
public struct KeptGain: Encodable, Sendable {
    /// Mean gain over mean gain; 1 keeps all.
    public let share: Double
    /// By the delta method for a ratio of means, and Student's t; equal to `share` when all prompts keep the same.
    public let low: Double
    public let high: Double

    /// - Parameters:
    ///   - rewards: of the answers to the same prompts, in the same order, as are `full` and `plain`.
    ///   - full: of the search whose gain counts as 1.
    /// - Returns: nil for fewer than two prompts, or when `full` gains nothing.
    public init?(rewards: [Double], full: [Double], plain: [Double]) {
        guard plain.count >= 2, rewards.count == plain.count, full.count == plain.count else { return nil }
        let gains = zip(full, plain).map { $0 - $1 }
        let kept = zip(rewards, plain).map { $0 - $1 }
        let gain = MeanInterval(gains).mean
        guard gain > 0 else { return nil }
        let share = MeanInterval(kept).mean / gain
        let residual = MeanInterval(zip(kept, gains).map { ($0 - share * $1) / gain })
        guard let low = residual.low, let high = residual.high else { return nil }
        self.share = share
        self.low = share + low
        self.high = share + high
    }
}
