/// Σ weight · reward, with the range that follows from the parts.
public struct WeightedSumReward: RewardModel {
    public struct Part: Sendable {
        public let reward: any RewardModel
        public let weight: Double

        public init(reward: any RewardModel, weight: Double = 1) {
            self.reward = reward
            self.weight = weight
        }
    }

    public let parts: [Part]

    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` without parts, or with a weight that is
    ///   not finite.
    public init(parts: [Part]) throws {
        guard !parts.isEmpty else {
            throw TransferQError.rewardSpecification(specification: "", reason: "a sum needs at least one reward")
        }
        for part in parts where !part.weight.isFinite {
            throw TransferQError.rewardSpecification(
                specification: part.reward.name, reason: "the weight must be a finite number, not \(part.weight)")
        }
        self.parts = parts
    }

    public var name: String { partNames.joined(separator: " + ") }

    public var partNames: [String] {
        parts.map { $0.weight == 1 ? $0.reward.name : "\($0.reward.name):\($0.weight)" }
    }

    public var files: [String] { parts.flatMap(\.reward.files) }

    public var range: ClosedRange<Double>? {
        var lower = 0.0
        var upper = 0.0
        // A part of weight 0 adds nothing, even where its range has no end: 0·∞ is no number.
        for part in parts where part.weight != 0 {
            guard let range = part.reward.range else { return nil }
            let ends = [part.weight * range.lowerBound, part.weight * range.upperBound]
            lower += min(ends[0], ends[1])
            upper += max(ends[0], ends[1])
        }
        // Summing the parts' rewards may round differently from summing their ends.
        let slack = 1e-12 * [lower, upper].filter(\.isFinite).reduce(1) { max($0, abs($1)) }
        return (lower - slack)...(upper + slack)
    }

    /// Of parts that vary independently.
    public var unit: Double {
        let square = parts.reduce(0) { $0 + ($1.weight * $1.reward.unit) * ($1.weight * $1.reward.unit) }
        return square.isNormal ? square.squareRoot() : 1
    }

    /// What the parts with a weight above 0 say.
    public var instruction: String? {
        let sentences = parts.filter { $0.weight > 0 }.compactMap(\.reward.instruction)
        return sentences.isEmpty ? nil : sentences.joined(separator: " ")
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await scores(for: completions).map(\.reward)
    }

    public func scores(for completions: [Completion]) async throws -> [RewardScore] {
        var scores = [RewardScore](repeating: RewardScore(reward: 0), count: completions.count)
        for part in parts {
            for (index, reward) in try await part.reward.checkedRewards(for: completions).enumerated() {
                scores[index].reward += part.weight * reward
                scores[index].parts.append(part.weight * reward)
            }
        }
        return scores
    }

    /// The first part's that has one; parts with another read the text.
    public func stateSource(for conversation: [Message]) async throws -> StateSource? {
        for part in parts {
            if let source = try await part.reward.stateSource(for: conversation) { return source }
        }
        return nil
    }
}
