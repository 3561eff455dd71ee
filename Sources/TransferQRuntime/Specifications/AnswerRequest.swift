public import TransferQ

/// How a prompt becomes tokens.
public enum PromptForm: String, Codable, Sendable {
    /// A conversation, by the model's chat template.
    case chat
    /// A text to be continued.
    case raw
    /// A text to be continued that spells special tokens of the model and means them.
    case rawWithMarkers = "raw-with-markers"
}

/// Where an answer ends at the latest.
public struct AnswerLimits: Codable, Hashable, Sendable {
    /// Longest answer in tokens, ≥ 1.
    public let maximumTokens: Int
    /// Wall-clock seconds from the first step, and tokens of the answer and of rollouts together; unlimited where nil.
    public let budget: DecodingTask.Budget
    /// Texts that an answer ends before, none of them empty.
    public let stop: [String]

    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)``.
    public init(maximumTokens: Int = 128, budget: DecodingTask.Budget? = nil, stop: [String] = []) throws {
        guard maximumTokens >= 1 else {
            throw TransferQError.invalidParameter(
                name: "max-tokens", value: "\(maximumTokens)", requirement: "at least 1")
        }
        try StopStrings.check(stop)
        self.maximumTokens = maximumTokens
        self.stop = stop
        self.budget = try budget ?? DecodingTask.Budget()
    }

    private enum CodingKeys: CodingKey { case maxTokens, timeBudget, tokenBudget, stop }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            maximumTokens: container.decodeIfPresent(Int.self, forKey: .maxTokens) ?? 128,
            budget: DecodingTask.Budget(
                seconds: container.decodeIfPresent(Double.self, forKey: .timeBudget),
                tokens: container.decodeIfPresent(Int.self, forKey: .tokenBudget)),
            stop: container.decodeIfPresent([String].self, forKey: .stop) ?? [])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(maximumTokens, forKey: .maxTokens)
        try container.encodeIfPresent(budget.seconds, forKey: .timeBudget)
        try container.encodeIfPresent(budget.tokens, forKey: .tokenBudget)
        if !stop.isEmpty { try container.encode(stop, forKey: .stop) }
    }
}

/// What candidates are valued by.
public struct ScoringSpec: Codable, Hashable, Sendable {
    /// The target reward.
    public var reward: RewardSpec?
    /// What the baseline was aligned with, for `transfer-q-indirect`; without it the implicit reward serves.
    public var baselineReward: RewardSpec?
    /// A file of a value head, in place of rollouts (approximate).
    public var valueHead: String?
    /// A file of what `confidence` assumes; the standard calibration without it.
    public var confidenceCalibration: String?

    public init(
        reward: RewardSpec? = nil, baselineReward: RewardSpec? = nil, valueHead: String? = nil,
        confidenceCalibration: String? = nil
    ) {
        self.reward = reward
        self.baselineReward = baselineReward
        self.valueHead = valueHead
        self.confidenceCalibration = confidenceCalibration
    }
}

extension ScoringSpec {
    /// The same rewards, each with the weight 1.
    var unweighted: ScoringSpec {
        var scoring = self
        scoring.reward = reward?.unweighted
        scoring.baselineReward = baselineReward?.unweighted
        return scoring
    }
}

/// Everything that an answer depends on besides the models.
///
/// JSON: one object; what is left out takes its default. `limits` and `scoring` have no level of their own.
///
///     {"messages": [{"role": "user", "content": "How do I make tea?"}], "method": {"name": "transfer-q", "alpha": 0.5},
///      "reward": ["length:30"], "maxTokens": 64, "seed": 1}
public struct AnswerRequest: Codable, Hashable, Sendable {
    /// The conversation, its system prompt first if it has one.
    public var messages: [Message]
    public var form: PromptForm
    public var method: MethodSpec
    public var scoring: ScoringSpec
    public var limits: AnswerLimits
    public var seed: UInt64

    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` for a conversation in which nobody says anything.
    public init(
        messages: [Message], form: PromptForm = .chat, method: MethodSpec, scoring: ScoringSpec = ScoringSpec(),
        limits: AnswerLimits? = nil, seed: UInt64 = 0
    ) throws {
        guard messages.contains(where: { $0.role != "system" && !$0.content.allSatisfy(\.isWhitespace) }) else {
            throw RuntimeError.invalidSpecification(
                what: "messages", reason: "nobody says anything in them; give a turn of the user with a text")
        }
        self.messages = messages
        self.form = form
        self.method = method
        self.scoring = scoring
        self.limits = try limits ?? AnswerLimits()
        self.seed = seed
    }

    private enum CodingKeys: CodingKey { case messages, form, method, seed }

    /// The keys that one object may hold.
    private static let knownKeys: Set<String> = [
        "messages", "form", "method", "seed", "reward", "baselineReward", "valueHead", "confidenceCalibration",
        "maxTokens", "timeBudget", "tokenBudget", "stop",
    ]

    public init(from decoder: any Decoder) throws {
        try RuntimeError.checkKeys(of: decoder, known: Self.knownKeys, what: "request")
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let scoring = try ScoringSpec(from: decoder)
        let standard = scoring.reward == nil && scoring.valueHead == nil ? "sample" : "transfer-q"
        try self.init(
            messages: container.decode([Message].self, forKey: .messages),
            form: container.decodeIfPresent(PromptForm.self, forKey: .form) ?? .chat,
            method: container.decodeIfPresent(MethodSpec.self, forKey: .method) ?? MethodSpec(standard),
            scoring: scoring, limits: AnswerLimits(from: decoder),
            seed: container.decodeIfPresent(UInt64.self, forKey: .seed) ?? 0)
    }

    public func encode(to encoder: any Encoder) throws {
        try scoring.encode(to: encoder)
        try limits.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(messages, forKey: .messages)
        try container.encode(form, forKey: .form)
        try container.encode(method, forKey: .method)
        try container.encode(seed, forKey: .seed)
    }
}
