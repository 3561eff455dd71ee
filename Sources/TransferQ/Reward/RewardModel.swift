/// r(x, y): scores whole or unfinished responses.
///
/// A batch is scored in one call so that a model behind it can share its work. Implementations are called with a
/// few to a few hundred completions that mostly share a beginning.
public protocol RewardModel: Sendable {
    /// How the reward was asked for, e.g. `length:40`.
    var name: String { get }

    /// The closed interval that every reward lies in, when there is one; pruning by bounds needs it.
    var range: ClosedRange<Double>? { get }

    /// One finite reward per completion, in order. The same completion always gets the same reward.
    func rewards(for completions: [Completion]) async throws -> [Double]
}

extension RewardModel {
    /// The rewards, after a check that there is one finite number for each completion within the stated range.
    ///
    /// - Throws: ``TransferQError`` that names the reward and the first offending value.
    public func checkedRewards(for completions: [Completion]) async throws -> [Double] {
        let rewards = try await rewards(for: completions)
        guard rewards.count == completions.count else {
            throw TransferQError.rewardCount(reward: name, expected: completions.count, got: rewards.count)
        }
        for (reward, completion) in zip(rewards, completions) {
            guard reward.isFinite else {
                throw TransferQError.rewardNotFinite(
                    reward: name, value: "\(reward)", text: String(completion.text.prefix(60)))
            }
            if let range, !range.contains(reward) {
                throw TransferQError.rewardOutsideRange(reward: name, value: reward, range: range)
            }
        }
        return rewards
    }
}
