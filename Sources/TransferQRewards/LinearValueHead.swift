import Foundation
public import TransferQ

/// A linear value head on the final hidden states of the policy that is tilted, as one small JSON file: what
/// `transferq value fit` makes of the values that traces recorded.
///
/// Q̂(s, z) = weights · state + bias, kept within the values that were fitted on.
public struct LinearValueHead: ValueHead, Codable, Equatable {
    /// What a head was fitted on, and how well it does.
    public struct Training: Codable, Hashable, Sendable {
        public var states: Int
        public var candidates: Int
        /// λ of ½λ|w|² beside the mean squared error, on standardised states.
        public var regularization: Double
        /// Share of the variance of differences between a state's candidates that predictions for prompts left out of the
        /// fit explain; at most 1, below 0 where they do harm.
        public var explained: Double

        public init(states: Int, candidates: Int, regularization: Double, explained: Double) {
            self.states = states
            self.candidates = candidates
            self.regularization = regularization
            self.explained = explained
        }
    }

    public var format = "transferq-value-1"
    /// Of the policy that is tilted.
    public var backbone: LinearHead.Backbone
    /// The system prompt of the policy whose states were read; nil without one.
    public var system: String?
    /// SHA-256 of the adapter on the backbone; nil without one.
    public var adapter: String?
    /// `last`, `mean` or `both`.
    public var pooling: LinearHead.Pooling
    public var weights: [Float]
    public var bias: Double
    public var low: Double
    public var high: Double
    public var differenceSpread: Double
    public var training: Training
    /// How it was asked for.
    public var name = ""

    private enum CodingKeys: CodingKey {
        case format, backbone, system, adapter, pooling, weights, bias, low, high, differenceSpread, training
    }

    public init(
        backbone: LinearHead.Backbone, system: String?, adapter: String? = nil, pooling: LinearHead.Pooling,
        fit: ValueFit
    ) {
        self.backbone = backbone
        self.system = system
        self.adapter = adapter
        self.pooling = pooling
        weights = fit.weights
        bias = fit.bias
        low = fit.range.lowerBound
        high = fit.range.upperBound
        differenceSpread = fit.differenceSpread
        training = fit.training
    }

    public var range: ClosedRange<Double> { low...high }

    public func value(of state: PooledState) -> Double {
        min(max(bias + pooling.product(of: weights, with: state), low), high)
    }

    // MARK: Files

    /// - Throws: ``RewardError/badHead(path:reason:)``.
    public static func read(_ path: String) throws -> LinearValueHead {
        var head: LinearValueHead = try HeadFile.read(path, kind: "value head", command: "value fit")
        try HeadFile.check(path, head.format, "transferq-value-1", head.backbone, head.pooling, head.weights)
        let numbers = [head.bias, head.low, head.high, head.differenceSpread]
        guard numbers.allSatisfy(\.isFinite), head.low <= head.high, head.differenceSpread > 0, head.pooling != .end
        else {
            throw RewardError.badHead(
                path: path, reason: "a number is not finite or out of its range; fit it again with transferq value fit")
        }
        head.name = "head:\(path)"
        return head
    }

    /// Writes the file, complete or not at all.
    ///
    /// - Throws: ``RewardError/cannotWrite(path:reason:)``.
    public func write(to path: String) throws { try HeadFile.write(self, to: path) }
}
