public import TransferQ

/// A reward given by a function of the response's tokens, for exact problems.
public struct TabularReward: RewardModel {
    public let name: String
    public let range: ClosedRange<Double>?
    private let reward: @Sendable ([Token]) -> Double

    public init(
        name: String = "tabular", range: ClosedRange<Double>? = nil,
        reward: @escaping @Sendable ([Token]) -> Double
    ) {
        self.name = name
        self.range = range
        self.reward = reward
    }

    /// Independent uniform rewards in [0, 1), one for each response.
    public static func random(seed: UInt64) -> TabularReward {
        TabularReward(name: "random:\(seed)", range: 0...1) { tokens in
            tokens.reduce(Noise(seed: seed)) { $0.derived(Int($1)) }.uniform
        }
    }

    /// The target reward of an instance: of a response its own, of an unfinished prefix the prefix's, or 0 without one.
    public static func target(of instance: TabularInstance) -> TabularReward {
        var table = Dictionary(uniqueKeysWithValues: zip(instance.tree.responses, instance.reward))
        if let prefixes = instance.prefixReward {
            table.merge(zip(instance.tree.prefixes, prefixes)) { own, _ in own }
        }
        return TabularReward(name: "target") { [table] in table[$0] ?? 0 }
    }

    /// The baseline's reward of an instance; nil without one.
    public static func baseline(of instance: TabularInstance) -> TabularReward? {
        instance.baselineReward.map { rewards in
            let table = Dictionary(uniqueKeysWithValues: zip(instance.tree.responses, rewards))
            return TabularReward(name: "baseline") { table[$0] ?? 0 }
        }
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { reward($0.tokens) }
    }
}
