/// A rollout with the reward of the whole text it leads to.
public struct ScoredRollout: Hashable, Sendable {
    public var rollout: Rollout
    public var reward: Double
    /// log w of the rollout, up to a constant of its candidate; nil for a plain mean.
    public var logWeight: Double?
    /// What each part of a summed reward adds to `reward`; empty for a reward without parts.
    public var rewardParts: [Double] = []
}
