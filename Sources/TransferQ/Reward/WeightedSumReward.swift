/// Σ weight · reward, with the range that follows from the parts.
public struct WeightedSumReward: RewardModel {
    public struct Part: Sendable {
        public let reward: any RewardModel
        public let weight: Double
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

    public var name: String {
        parts.map { $0.weight == 1 ? $0.reward.name : "\($0.reward.name):\($0.weight)" }.joined(separator: " + ")
    }

    public var range: ClosedRange<Double>? {
        var lower = 0.0
        var upper = 0.0
        for part in parts {
            guard let range = part.reward.range else { return nil }
            let ends = [part.weight * range.lowerBound, part.weight * range.upperBound].sorted()
            lower += ends[0]
            upper += ends[1]
        }
        // Summing the parts' rewards may round differently from summing their ends.
        let slack = 1e-12 * max(1, abs(lower), abs(upper))
        return (lower - slack)...(upper + slack)
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        var sums = [Double](repeating: 0, count: completions.count)
        for part in parts {
            for (index, reward) in try await part.reward.checkedRewards(for: completions).enumerated() {
                sums[index] += part.weight * reward
            }
        }
        return sums
    }
}
