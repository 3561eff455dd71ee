/// What an answer cost.
public struct Usage: Codable, Hashable, Sendable {
    /// Tokens of the reference's prompt and, when it is another policy, the baseline's, whether or not the method
    /// turns to it.
    public var promptTokens = 0
    /// Tokens of the answer, its end token included.
    public var completionTokens = 0
    /// Tokens that rollouts generated and the answer does not contain.
    public var rolloutTokens = 0
    /// Tokens of rollouts that an earlier step's rollouts had already written.
    public var reusedTokens = 0
    /// Times that rollouts were asked for, and rollouts asked for: their quotient is the mean width of a batch.
    public var rolloutBatches = 0
    public var rollouts = 0
    /// Tokens of rollouts that the reference read, to weigh what another policy wrote, and of candidates that a policy
    /// read for a value head.
    public var readTokens = 0
    /// Response tokens in the texts that the reward read.
    public var scoredTokens = 0
    /// Texts that the reward read.
    public var rewardCalls = 0
    /// Wall-clock seconds from the first step.
    public var seconds = 0.0

    public init() {}

    /// Whether all counts can be added up without end: what an estimator of a user's own counts may be anything.
    var isPlausible: Bool {
        let counts = [
            promptTokens, completionTokens, rolloutTokens, reusedTokens, rolloutBatches, rollouts, readTokens,
            scoredTokens, rewardCalls,
        ]
        return counts.allSatisfy { (0...1 << 40).contains($0) } && seconds >= 0 && seconds.isFinite
    }

    /// Tokens of the answer and of rollouts.
    var generatedTokens: Int { completionTokens + rolloutTokens }

    public static func += (total: inout Usage, part: Usage) {
        total.promptTokens += part.promptTokens
        total.completionTokens += part.completionTokens
        total.rolloutTokens += part.rolloutTokens
        total.reusedTokens += part.reusedTokens
        total.rolloutBatches += part.rolloutBatches
        total.rollouts += part.rollouts
        total.readTokens += part.readTokens
        total.scoredTokens += part.scoredTokens
        total.rewardCalls += part.rewardCalls
        total.seconds += part.seconds
    }
}
