/// r(x, y): scores whole or unfinished responses.
///
/// A batch is scored in one call so that a model behind it can share its work. Implementations are called with a
/// few to a few hundred completions that mostly share a beginning.
public protocol RewardModel: Sendable {
    /// How the reward was asked for, e.g. `length:40`.
    var name: String { get }

    /// The closed interval that every reward lies in, when there is one; pruning by bounds needs it.
    var range: ClosedRange<Double>? { get }

    /// Mean and spread of the reward on typical answers, when they are known; `z:` needs them.
    var calibration: RewardCalibration? { get }

    /// What counts as one step on the reward's own scale, > 0: the spread of typical answers where it is known. Methods
    /// take it for α when none is given, so that the default pulls alike whatever the reward.
    var unit: Double { get }

    /// What the reward wants, as an instruction that a model understands, e.g. `Use the word "ocean" in your answer.`; nil
    /// where no sentence says it. A model under this system prompt is a baseline aligned with the reward.
    var instruction: String? { get }

    /// Names of the parts that a sum is made of; empty for a reward that is none.
    var partNames: [String] { get }

    /// Paths of all files that the reward depends on: heads, models, adapters, programs. A run that is resumed compares
    /// their content with what it was; empty for a reward that reads none.
    var files: [String] { get }

    /// One finite reward per completion, in order. The same completion always gets the same reward.
    func rewards(for completions: [Completion]) async throws -> [Double]

    /// The rewards with their parts; a sum implements it so that nothing is scored twice.
    func scores(for completions: [Completion]) async throws -> [RewardScore]

    /// Whose hidden states of a completion of `conversation` serve this reward in place of reading the text again;
    /// nil for a reward that reads texts. A completion that comes with a state of that source costs nothing.
    func stateSource(for conversation: [Message]) async throws -> StateSource?
}

/// A reward and, for a sum, what each part adds to it.
public struct RewardScore: Hashable, Sendable {
    public var reward: Double
    /// In the order of ``RewardModel/partNames``, weights applied; they add up to `reward`.
    public var parts: [Double]

    public init(reward: Double, parts: [Double] = []) {
        self.reward = reward
        self.parts = parts
    }
}

/// A reward on typical answers.
public struct RewardCalibration: Codable, Hashable, Sendable {
    public var mean: Double
    /// Standard deviation, > 0.
    public var spread: Double
    /// Answers that it was measured on.
    public var count: Int

    public init(mean: Double, spread: Double, count: Int) {
        self.mean = mean
        self.spread = spread
        self.count = count
    }

    /// Of a sample of rewards.
    ///
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` when they do not differ by more than what
    ///   rounding makes of equal numbers: 1e-12 of the largest.
    public init(of rewards: [Double]) throws {
        let mean = rewards.reduce(0, +) / Double(max(1, rewards.count))
        let squares = rewards.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let spread = rewards.count > 1 ? (squares / Double(rewards.count - 1)).squareRoot() : 0
        let (least, most) = (rewards.min() ?? 0, rewards.max() ?? 0)
        let isConstant =
            rewards.allSatisfy(\.isFinite) && !(most - least > 1e-12 * max(abs(least), abs(most)))
        guard !isConstant, spread > 0, spread.isFinite else {
            throw TransferQError.invalidParameter(
                name: "the spread of the rewards of \(rewards.count) answers", value: isConstant ? "0" : "\(spread)",
                requirement: isConstant
                    ? "above 0 (all were \(least): check the reward, or calibrate on more, and more varied, answers)"
                    : "above 0 and finite (check the reward)")
        }
        self.init(mean: mean, spread: spread, count: rewards.count)
    }
}

extension RewardModel {
    public var calibration: RewardCalibration? { nil }

    /// The calibration's spread; without one a tenth of the range, about what separates typical answers of a learned
    /// reward whose ends are that far apart; without either 1.
    public var unit: Double {
        if let calibration { return calibration.spread }
        guard let range else { return 1 }
        let width = (range.upperBound - range.lowerBound) / 10
        return width.isNormal ? width : 1
    }

    public var instruction: String? { nil }

    public var partNames: [String] { [] }

    public var files: [String] { [] }

    public func scores(for completions: [Completion]) async throws -> [RewardScore] {
        try await rewards(for: completions).map { RewardScore(reward: $0) }
    }

    public func stateSource(for conversation: [Message]) async throws -> StateSource? { nil }

    /// Whether hidden states of `policy` serve this reward in place of reading the text.
    func reads(_ policy: CheckedPolicy, in conversation: [Message]) async throws -> Bool {
        guard let source = try await stateSource(for: conversation) else { return false }
        return source == policy.stateSource
    }

    /// The scores, after a check that there is one finite number for each completion within the stated range, with a
    /// part for each part name where there are parts.
    ///
    /// Cancelling the calling task ends the wait within 0.15 seconds, also when the reward goes on regardless.
    ///
    /// - Throws: ``TransferQError`` that names the reward and the first offending value; `CancellationError`.
    public func checkedScores(for completions: [Completion]) async throws -> [RewardScore] {
        guard !completions.isEmpty else { return [] }
        let scores = try await endedByCancellation { try await self.scores(for: completions) }
        guard scores.count == completions.count else {
            throw TransferQError.rewardCount(reward: name, expected: completions.count, got: scores.count)
        }
        for (score, completion) in zip(scores, completions) {
            guard score.reward.isFinite else {
                throw TransferQError.rewardNotFinite(
                    reward: name, value: "\(score.reward)", text: String(completion.text.prefix(60)))
            }
            if let range, !range.contains(score.reward) {
                throw TransferQError.rewardOutsideRange(reward: name, value: score.reward, range: range)
            }
            guard score.parts.isEmpty || score.parts.count == partNames.count else {
                throw TransferQError.rewardParts(reward: name, expected: partNames.count, got: score.parts.count)
            }
        }
        return scores
    }

    /// The rewards of ``checkedScores(for:)``.
    public func checkedRewards(for completions: [Completion]) async throws -> [Double] {
        try await checkedScores(for: completions).map(\.reward)
    }
}
