import TransferQ
import TransferQEvaluation
import TransferQRuntime

/// The object `transferq` of an answer: what it came to and what it cost.
struct ReplyFigures: Encodable, Sendable {
    let method: String
    let seed: UInt64
    let reward: Double?
    /// What each reward adds to the sum, by its name.
    let rewardParts: [String: Double]
    /// Nats; `klKind` tells what it is.
    let kl: Double?
    let klKind: KLKind
    let finish: FinishReason
    let seconds: Double
    let rolloutTokens: Int
    let scoredTokens: Int
    let rewardCalls: Int
    /// What the answer may differ from the full search's by; empty for an exact one.
    let approximations: [String]
    /// What a person should know, a sentence each; told one by one where the answer is streamed.
    var notices: [String]?
    /// The steps as in a trace; nil unless they were asked for, and where the answer is streamed.
    var steps: [TraceLine]?

    init(_ summary: GenerationSummary, plan: AnswerPlan, choice: Int) {
        let request = plan.requests[choice]
        method = plan.method.name
        seed = request.seed
        reward = summary.reward
        rewardParts = plan.preset.parts(of: summary.reward, summary.rewardParts)
        kl = summary.kl
        klKind = summary.klKind
        finish = summary.finishReason
        seconds = summary.usage.seconds
        rolloutTokens = summary.usage.rolloutTokens
        scoredTokens = summary.usage.scoredTokens
        rewardCalls = summary.usage.rewardCalls
        let head = request.scoring.valueHead == nil ? [] : ["value head"]
        approximations = plan.method.method.approximations + head + request.limits.budget.names
    }
}

/// Tokens as OpenAI counts them, with the hidden work beside them.
struct ReplyUsage: Encodable, Sendable {
    private struct Details: Encodable {
        let usage: Usage

        private enum CodingKeys: String, CodingKey {
            case reasoning = "reasoning_tokens"
            case rollouts = "rollout_tokens"
            case reused = "reused_tokens"
            case read = "read_tokens"
            case scored = "scored_tokens"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(0, forKey: .reasoning)
            try container.encode(usage.rolloutTokens, forKey: .rollouts)
            try container.encode(usage.reusedTokens, forKey: .reused)
            try container.encode(usage.readTokens, forKey: .read)
            try container.encode(usage.scoredTokens, forKey: .scored)
        }
    }

    private(set) var total = Usage()

    mutating func add(_ usage: Usage) { total += usage }

    private enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case totalTokens = "total_tokens"
        case details = "completion_tokens_details"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(total.promptTokens, forKey: .promptTokens)
        try container.encode(total.completionTokens, forKey: .completionTokens)
        try container.encode(total.promptTokens + total.completionTokens, forKey: .totalTokens)
        try container.encode(Details(usage: total), forKey: .details)
    }
}
