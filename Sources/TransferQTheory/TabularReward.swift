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

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { reward($0.tokens) }
    }
}
