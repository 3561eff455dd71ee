import Foundation
public import TransferQ

/// A problem small enough to solve exactly (docs/mathematics.md section 9).
public struct TabularInstance: Sendable {
    public let tree: ResponseTree
    /// log π_sft, one row for each node of the tree, in its order.
    public let logReference: [[Double]]
    /// r of every response, in the tree's order.
    public let reward: [Double]
    /// r_BL of every response.
    public let baselineReward: [Double]?
    /// Reward of every unfinished prefix but the empty one, by node (the first entry means nothing).
    public let prefixReward: [Double]?
    /// Pull to the tilt policy, in reward per nat.
    public let alpha: Double
    /// KL penalty of ρ_r^β, in reward per nat.
    public let beta: Double
    /// n of best-of-n.
    public let bestOf: Int?

    /// - Throws: ``TabularError`` when `alpha` or `beta` is not finite and above 0, or `bestOf` is below 1.
    public init(
        tree: ResponseTree, logReference: [[Double]], rewards: Rewards, alpha: Double, beta: Double, bestOf: Int?
    ) throws {
        for (name, value) in [("alpha", alpha), ("beta", beta)] where !(value.isFinite && value >= 1e-9) {
            throw TabularError.badNumber(
                name: name, value: "\(value)", requirement: "a finite number of at least 1e-9")
        }
        if let bestOf, bestOf < 1 {
            throw TabularError.badNumber(name: "bestOf", value: "\(bestOf)", requirement: "at least 1")
        }
        self.tree = tree
        self.logReference = logReference
        reward = rewards.target
        baselineReward = rewards.baseline
        prefixReward = rewards.prefix
        self.alpha = alpha
        self.beta = beta
        self.bestOf = bestOf
    }

    /// The three reward tables, in the tree's order.
    public struct Rewards: Sendable {
        public var target: [Double]
        public var baseline: [Double]?
        public var prefix: [Double]?

        public init(target: [Double], baseline: [Double]? = nil, prefix: [Double]? = nil) {
            self.target = target
            self.baseline = baseline
            self.prefix = prefix
        }
    }

    /// The same problem at another α, or with another baseline reward.
    public func with(alpha: Double? = nil, baselineReward: [Double]? = nil) throws -> TabularInstance {
        try TabularInstance(
            tree: tree, logReference: logReference,
            rewards: Rewards(target: reward, baseline: baselineReward ?? self.baselineReward, prefix: prefixReward),
            alpha: alpha ?? self.alpha, beta: beta, bestOf: bestOf)
    }

    /// A random problem: rows are softmaxes of Gumbel noise, rewards uniform in [0, 1), a prefix's reward the mean of
    /// its completions' under the reference plus noise.
    ///
    /// - Throws: ``TabularError`` for sizes that cannot be.
    public static func random(
        vocabularySize: Int, maximumLength: Int, endToken: Token? = 0, seed: UInt64
    ) throws -> TabularInstance {
        let tree = try ResponseTree(
            vocabularySize: vocabularySize, maximumLength: maximumLength, endToken: endToken)
        let noise = Noise(seed: seed)
        func stream(_ kind: Int) -> Noise { noise.derived(kind) }
        let logReference = tree.prefixes.indices.map { node in
            LogSpace.logSoftmax((0..<vocabularySize).map { stream(1).derived(node).derived($0).gumbel })
        }
        let target = tree.responses.indices.map { stream(2).derived($0).uniform }
        let baseline = tree.responses.indices.map { stream(3).derived($0).uniform }
        let (values, _) = tree.backward(leaves: target) { node, children in
            zip(logReference[node], children).reduce(0) { $0 + exp($1.0) * $1.1 }
        }
        let prefix = tree.prefixes.indices.map { values[$0] + 0.5 * (stream(4).derived($0).uniform - 0.5) }
        return try TabularInstance(
            tree: tree, logReference: logReference,
            rewards: Rewards(target: target, baseline: baseline, prefix: prefix),
            alpha: 0.1 + stream(5).uniform, beta: 0.1 + stream(6).uniform, bestOf: 4)
    }
}

/// `1,2` for the tokens 1 and 2; empty for none.
func tabularKey(_ tokens: [Token]) -> String { tokens.map(String.init).joined(separator: ",") }
