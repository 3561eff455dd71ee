public import TransferQ

/// One line of a trace.
public struct TraceLine: Encodable, Sendable {
    public struct Rollout: Encodable, Sendable {
        public let text: String
        public let tokens: [Token]
        public let logProbability: Double
        public let finishReason: FinishReason
        public let reward: Double
        /// What each part of the sum adds; absent for a reward that is none.
        public let rewardParts: [Double]?
        public let logWeight: Double?
    }

    public struct Candidate: Encodable, Sendable {
        public let tokens: [Token]
        public let text: String
        public let logProbability: Double
        public let value: Double?
        public let score: Double
        public let probability: Double
        public let isChosen: Bool
        public let effectiveSampleSize: Double?
        public let rewardSpread: Double?
        public let rollouts: [Rollout]
    }

    /// The prompt's place in its file; 0 for a prompt by itself.
    public let prompt: Int
    /// What was asked; in the line of the first step only.
    public let conversation: [Message]?
    public let step: Int
    public let tokens: [Token]
    public let text: String
    public let candidates: [Candidate]
    public let kl: Double?
    public let cumulativeKL: Double?
    /// What `kl` and `cumulativeKL` are.
    public let klKind: KLKind
    public let cumulativeKLKind: KLKind
    /// The α that tilted the step; absent for a method that tilts nothing.
    public let alpha: Double?
    public let outsideProbability: Double?

    public init(_ step: DecodingStep, tokenizer: any Tokenizer, prompt: Int = 0, conversation: [Message]) {
        self.prompt = prompt
        self.conversation = step.index == 0 ? conversation : nil
        self.step = step.index
        tokens = step.decision.tokens
        text = step.text
        candidates = step.decision.candidates.map { candidate in
            Candidate(
                tokens: candidate.tokens,
                text: String(decoding: candidate.tokens.flatMap(tokenizer.bytes), as: UTF8.self),
                logProbability: candidate.logProbability, value: candidate.value, score: candidate.score,
                probability: candidate.probability, isChosen: candidate.tokens == step.decision.tokens,
                effectiveSampleSize: candidate.effectiveSampleSize, rewardSpread: candidate.rewardSpread,
                rollouts: candidate.rollouts.map { scored in
                    Rollout(
                        text: tokenizer.text(of: scored.rollout.tokens), tokens: scored.rollout.tokens,
                        logProbability: scored.rollout.logProbability, finishReason: scored.rollout.finishReason,
                        reward: scored.reward, rewardParts: scored.rewardParts.isEmpty ? nil : scored.rewardParts,
                        logWeight: scored.logWeight)
                })
        }
        kl = step.decision.kl
        cumulativeKL = step.cumulativeKL
        klKind = step.decision.klKind
        cumulativeKLKind = step.cumulativeKLKind
        alpha = step.decision.alpha
        outsideProbability = step.decision.outsideProbability
    }
}
