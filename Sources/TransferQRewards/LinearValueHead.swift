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
        case format, backbone, system, pooling, weights, bias, low, high, differenceSpread, training
    }

    public init(
        backbone: LinearHead.Backbone, system: String?, pooling: LinearHead.Pooling, fit: ValueFit
    ) {
        self.backbone = backbone
        self.system = system
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
        guard let data = FileManager.default.contents(atPath: path) else {
            throw RewardError.badHead(path: path, reason: "there is no such file, or it cannot be read")
        }
        var head: LinearValueHead
        do { head = try JSONDecoder().decode(LinearValueHead.self, from: data) } catch {
            throw RewardError.badHead(path: path, reason: "it is no value head; make one with transferq value fit")
        }
        guard head.format == "transferq-value-1" else {
            throw RewardError.badHead(path: path, reason: "its format \(head.format) is not known to this version")
        }
        let expected = head.backbone.width.multipliedReportingOverflow(by: head.pooling == .both ? 2 : 1)
        guard head.backbone.width > 0, !expected.overflow, head.weights.count == expected.partialValue else {
            throw RewardError.badHead(
                path: path, reason: "it has \(head.weights.count) weights for a model of width \(head.backbone.width)")
        }
        let numbers = [head.bias, head.low, head.high, head.differenceSpread]
        guard head.weights.allSatisfy(\.isFinite), numbers.allSatisfy(\.isFinite), head.low <= head.high,
            head.differenceSpread > 0, head.pooling != .end
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
    public func write(to path: String) throws { try JSONFile.write(self, to: path) }
}

/// Heads as files.
enum JSONFile {
    static func write(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { try (encoder.encode(value) + Data("\n".utf8)).write(to: URL(filePath: path), options: .atomic) } catch {
            throw RewardError.cannotWrite(path: path, reason: error.localizedDescription)
        }
    }
}
