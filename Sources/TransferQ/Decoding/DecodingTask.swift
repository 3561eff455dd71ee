/// What is to be decoded: the three things that the methods combine, and the limits of the answer.
public struct DecodingTask: Sendable {
    /// π_sft, the policy that is steered and that KL is measured to.
    public let reference: any Policy
    /// ρ_BL, the policy that rolls candidates out; the reference itself when none was given.
    public let baseline: any Policy
    /// r, the target reward.
    public let reward: (any RewardModel)?
    /// r_BL, what the baseline was aligned with; nil when it is not at hand, and then the implicit one serves.
    public let baselineReward: (any RewardModel)?
    /// What the reward sees before the response.
    public let conversation: [Message]
    /// T, the longest answer in tokens.
    public let maximumLength: Int
    public let seed: UInt64

    /// - Throws: ``TransferQError`` when the length is below 1 or the vocabularies differ.
    public init(
        reference: any Policy, baseline: (any Policy)? = nil, reward: (any RewardModel)? = nil,
        baselineReward: (any RewardModel)? = nil, conversation: [Message] = [], maximumLength: Int, seed: UInt64 = 0
    ) throws {
        guard maximumLength >= 1 else {
            throw TransferQError.invalidParameter(
                name: "max-tokens", value: "\(maximumLength)", requirement: "at least 1")
        }
        let baseline = baseline ?? reference
        guard reference.vocabulary.fingerprint == baseline.vocabulary.fingerprint else {
            throw TransferQError.vocabulariesDiffer(
                reference: "\(reference.vocabulary.size) tokens", baseline: "\(baseline.vocabulary.size) tokens")
        }
        self.reference = reference
        self.baseline = baseline
        self.reward = reward
        self.baselineReward = baselineReward
        self.conversation = conversation
        self.maximumLength = min(
            maximumLength, reference.maximumResponseLength, baseline.maximumResponseLength)
        self.seed = seed
    }

    var vocabulary: any Vocabulary { reference.vocabulary }

    func requireReward(for method: String) throws -> any RewardModel {
        guard let reward else { throw TransferQError.missingReward(method: method) }
        return reward
    }
}

/// Where a generation stands: s_t.
public struct DecodingState: Sendable {
    public let task: DecodingTask
    /// y_<t; holds no end token.
    public var response: [Token]
    /// t, counted in decisions from 0.
    public var step: Int
    /// Σ KL of the decisions so far, nats.
    public var spentKL: Double

    public init(task: DecodingTask, response: [Token] = [], step: Int = 0, spentKL: Double = 0) {
        self.task = task
        self.response = response
        self.step = step
        self.spentKL = spentKL
    }

    /// Tokens that the answer may still take.
    public var remainingLength: Int { task.maximumLength - response.count }

    public func noise(_ purpose: Noise.Purpose) -> Noise {
        Noise(seed: task.seed).derived(purpose).derived(step)
    }

    /// The next token drawn from the reference itself, with its log-probability; it costs no KL.
    func drawFromReference() async throws -> Candidate {
        let request = RolloutRequest(
            response: response, prefixes: [[]], count: 1, maximumLength: 1, sampling: .ancestral,
            noise: noise(.choice))
        let draw = try await task.reference.rollouts(request)[0][0]
        return Candidate(token: draw.tokens[0], logProbability: draw.logProbability)
    }

    /// Completions for `reward`, one for each of `endings` behind the response. Where the reward reads the reference's
    /// hidden states they come along: the reference decodes an ending of one token once, and never again if it is chosen.
    func completions(adding endings: [[Token]], for reward: any RewardModel) async throws -> [Completion] {
        guard try await reward.reads(task.reference, in: task.conversation) else {
            return endings.map { completion(adding: $0) }
        }
        let continuations = endings.map { Continuation(prefix: $0, tokens: []) }
        let readings = try await task.reference.read(continuations, after: response, wantsStates: true)
        return zip(endings, readings).map { completion(adding: $0, state: $1.state) }
    }

    /// What a reward sees when `tokens` follow the response.
    func completion(adding tokens: [Token], state: PooledState? = nil) -> Completion {
        let all = response + tokens
        let vocabulary = task.vocabulary
        return Completion(
            conversation: task.conversation, text: vocabulary.text(of: all), tokens: all,
            isFinished: all.last.map(vocabulary.isEnd) ?? false, state: state)
    }
}
