import Foundation
public import TransferQ

/// A linear reward on a model's final hidden states, as one small JSON file.
///
/// raw = weights · state + bias. A head that was fitted on preferences gives log-odds: the difference of two answers'
/// raw rewards is the log-odds that people prefer the one to the other (Bradley and Terry).
public struct LinearHead: Codable, Sendable, Equatable {
    /// Which states the weights apply to.
    public enum Pooling: String, Codable, CaseIterable, Sendable {
        /// At the response's last token.
        case last
        /// Mean over the response.
        case mean
        /// `last`, then `mean`.
        case both
        /// At the last token of the conversation with the response as a closed turn, where classifiers of sequences
        /// look.
        case end
    }

    /// How a conversation becomes the tokens before the response.
    public enum Template: String, Codable, CaseIterable, Sendable {
        /// The model's own chat template.
        case chat
        /// Plain text, "\n\nHuman: …\n\nAssistant:", for models without a template.
        case dialogue
    }

    /// The model whose states the head reads.
    public struct Backbone: Codable, Hashable, Sendable {
        /// A known name, or the name of a file.
        public var model: String
        /// Of the file; of the published file, when `type` says that it was requantised.
        public var sha256: String
        /// The weight format that a published file was rewritten in; nil for the file as it is.
        public var type: String?
        public var width: Int

        public init(model: String, sha256: String, type: String?, width: Int) {
            self.model = model
            self.sha256 = sha256
            self.type = type
            self.width = width
        }
    }

    /// What a head was fitted on.
    public struct Training: Codable, Hashable, Sendable {
        public var data: String
        public var sha256: String
        /// Pairs, or labelled texts.
        public var count: Int
        /// λ of ½λ|w|² beside the mean loss, on standardised states.
        public var regularization: Double
        /// How many of the answers had no prompt: a head that was fitted on those alone judges answers by themselves.
        /// Nil where it is not known, or none.
        public var withoutPrompt: Int?

        public init(data: String, sha256: String, count: Int, regularization: Double, withoutPrompt: Int? = nil) {
            self.withoutPrompt = withoutPrompt
            self.data = data
            self.sha256 = sha256
            self.count = count
            self.regularization = regularization
        }
    }

    /// How often a head puts held-out pairs (or texts) in the right order (or class).
    public struct Accuracy: Codable, Hashable, Sendable {
        public var accuracy: Double
        /// Wilson's interval at 95 %.
        public var low: Double
        public var high: Double
        public var count: Int

        public init(correct: Double, of count: Int) {
            let (n, z) = (Double(max(1, count)), 1.96)
            let share = correct / n
            let centre = (share + z * z / (2 * n)) / (1 + z * z / n)
            let half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot()
            accuracy = share
            low = centre - half
            high = centre + half
            self.count = count
        }
    }

    public var format = "transferq-head-1"
    public var backbone: Backbone
    public var template: Template
    public var pooling: Pooling
    /// Which way conversations were laid out when the head was fitted (`LlamaModel.layoutFingerprint`): states of prompts
    /// that are laid out otherwise are not what it was fitted on. Nil for plain dialogues and where it was not recorded.
    public var layout: String?
    /// `backbone.width` of them, or twice as many for `both`; standardisation is folded in.
    public var weights: [Float]
    public var bias: Double
    /// Limits the reward to this many spreads around the calibration's mean, smoothly; nil leaves it unbounded.
    public var squash: Double?
    /// Of the reward before squashing.
    public var calibration: RewardCalibration?
    /// What the reward wants, as a system prompt for a baseline; see ``RewardModel/instruction``.
    public var instruction: String?
    public var training: Training?
    public var heldOut: Accuracy?

    public init(
        backbone: Backbone, template: Template, pooling: Pooling, weights: [Float], bias: Double
    ) {
        self.backbone = backbone
        self.template = template
        self.pooling = pooling
        self.weights = weights
        self.bias = bias
    }

    /// Where squashed rewards lie.
    public var range: ClosedRange<Double>? {
        guard let squash, let calibration else { return nil }
        return (calibration.mean - squash * calibration.spread)...(calibration.mean + squash * calibration.spread)
    }

    /// The reward of a state.
    public func reward(of state: PooledState) -> Double {
        let raw = bias + pooling.product(of: weights, with: state)
        guard let squash, let calibration else { return raw }
        return calibration.mean + squash * calibration.spread
            * tanh((raw - calibration.mean) / (squash * calibration.spread))
    }

    // MARK: Files

    /// - Throws: ``RewardError/badHead(path:reason:)``.
    public static func read(_ path: String) throws -> LinearHead {
        let head: LinearHead = try HeadFile.read(path, kind: "head file", command: "reward fit")
        try HeadFile.check(path, head.format, "transferq-head-1", head.backbone, head.pooling, head.weights)
        let numbers = [head.bias, head.squash ?? 1, head.calibration?.mean ?? 0, head.calibration?.spread ?? 1]
        guard numbers.allSatisfy(\.isFinite), numbers[1] > 0, numbers[3] > 0 else {
            throw RewardError.badHead(
                path: path, reason: "a number is not finite, or its squash or spread is not above 0")
        }
        guard head.squash == nil || head.calibration != nil else {
            throw RewardError.badHead(path: path, reason: "it is squashed, but has no calibration")
        }
        return head
    }

    /// Writes the file, complete or not at all.
    ///
    /// - Throws: ``RewardError/cannotWrite(path:reason:)``.
    public func write(to path: String) throws { try HeadFile.write(self, to: path) }
}

extension LinearHead.Pooling {
    /// weights · state, whichever parts of it the weights apply to.
    func product(of weights: [Float], with state: PooledState) -> Double {
        switch self {
        case .last, .end: return Self.dot(weights[...], state.last)
        case .mean: return Self.dot(weights[...], state.mean)
        case .both:
            let half = weights.count / 2
            return Self.dot(weights[..<half], state.last) + Self.dot(weights[half...], state.mean)
        }
    }

    /// What the weights apply to.
    func features(of state: PooledState) -> [Float] {
        switch self {
        case .last, .end: state.last
        case .mean: state.mean
        case .both: state.last + state.mean
        }
    }

    private static func dot(_ weights: ArraySlice<Float>, _ state: [Float]) -> Double {
        zip(weights, state).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
}
