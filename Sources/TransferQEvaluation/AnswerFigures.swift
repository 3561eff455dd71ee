public import TransferQ
public import TransferQRuntime

/// What an answer came to, as JSON.
public struct AnswerFigures: Encodable, Sendable {
    public let response: String
    public let finishReason: FinishReason
    public let reward: Double?
    /// What each part of the sum adds, by its name.
    public let rewardParts: [String: Double]
    public let kl: KLFields
    /// Means over the steps.
    public let effectiveSampleSize: Double?
    public let rewardSpread: Double?
    public let outsideProbability: Double?
    public let search: SearchFigures?
    /// What the answer may differ from the full search's by; empty for an exact run.
    public let approximations: [String]
    public let usage: Usage
    public let seed: UInt64
    /// Whether the system prompt went into the first turn of the user, because the chat template has no role for it.
    public let systemFolded: Bool
    /// What the chat template was told when it asked for the date; null when it did not.
    public let templateDate: String?

    public init(_ summary: GenerationSummary, method: ConfiguredMethod, prompt: PreparedPrompt) {
        response = summary.response
        finishReason = summary.finishReason
        reward = summary.reward
        rewardParts = Dictionary(
            zip(prompt.rewards.target?.partNames ?? [], summary.rewardParts), uniquingKeysWith: +)
        kl = KLFields(nats: summary.kl, kind: summary.klKind)
        effectiveSampleSize = summary.diagnostics.effectiveSampleSize
        rewardSpread = summary.diagnostics.rewardSpread
        outsideProbability = summary.diagnostics.outsideProbability
        search = SearchFigures(summary)
        approximations = method.method.approximations + prompt.approximations
        usage = summary.usage
        seed = prompt.seed
        systemFolded = prompt.prompts.isSystemFolded
        templateDate = prompt.prompts.templateDate
    }

    private enum CodingKeys: CodingKey {
        case response, finishReason, reward, rewardParts, effectiveSampleSize, rewardSpread,
            outsideProbability, search, approximations, usage, seed, systemFolded, templateDate
    }

    /// Written out so that what is unknown is null rather than missing.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(response, forKey: .response)
        try container.encode(finishReason, forKey: .finishReason)
        try container.encode(reward, forKey: .reward)
        if !rewardParts.isEmpty { try container.encode(rewardParts, forKey: .rewardParts) }
        try kl.encode(to: encoder)
        try container.encode(effectiveSampleSize, forKey: .effectiveSampleSize)
        try container.encode(rewardSpread, forKey: .rewardSpread)
        try container.encode(outsideProbability, forKey: .outsideProbability)
        try container.encode(search, forKey: .search)
        try container.encode(approximations, forKey: .approximations)
        try container.encode(usage, forKey: .usage)
        try container.encode(seed, forKey: .seed)
        try container.encode(systemFolded, forKey: .systemFolded)
        try container.encode(templateDate, forKey: .templateDate)
    }
}

/// What a search looked at, means over an answer's steps.
public struct SearchFigures: Encodable, Sendable {
    public let evaluatedCandidates: Double
    public let certifiedShare: Double
    public let gatedShare: Double
    public let expectedError: Double
    /// Steps that were checked, and those of them that failed; see ``Diagnostics/audited``.
    public let audited: Int
    public let auditMisses: Int
    /// The 95 % interval of the probability of a failure; nil without a check.
    public let auditMissRate: ShareInterval?
    public let rolloutTokensPerToken: Double
    /// Of the tokens of rollouts, those that earlier ones had written.
    public let reusedShare: Double
    /// Rollouts asked for at a time.
    public let batchWidth: Double

    /// Nil for a method that does not search.
    public init?(_ summary: GenerationSummary) {
        let (figures, usage) = (summary.diagnostics, summary.usage)
        guard let evaluated = figures.evaluatedCandidates else { return nil }
        evaluatedCandidates = evaluated
        certifiedShare = figures.certifiedShare ?? 0
        gatedShare = figures.gatedShare ?? 0
        expectedError = figures.expectedError ?? 0
        audited = figures.audited
        auditMisses = figures.auditMisses
        auditMissRate = figures.auditMissRate
        rolloutTokensPerToken = Double(usage.rolloutTokens) / Double(max(1, usage.completionTokens))
        reusedShare = Double(usage.reusedTokens) / Double(max(1, usage.reusedTokens + usage.rolloutTokens))
        batchWidth = Double(usage.rollouts) / Double(max(1, usage.rolloutBatches))
    }
}
