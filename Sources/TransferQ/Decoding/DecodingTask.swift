/// What is to be decoded: the three things that the methods combine, and the limits of the answer.
public struct DecodingTask: Sendable {
    /// π_sft, the policy that is steered and that KL is measured to: the one that was given, with every result checked.
    public var reference: any Policy { policies.reference }
    /// ρ_BL, the policy that rolls candidates out, checked as well; the reference itself (`===`) when none, or the same
    /// policy, was given.
    public var baseline: any Policy { policies.baseline }
    let policies: TaskPolicies
    /// r, the target reward.
    public let reward: (any RewardModel)?
    /// r_BL, what the baseline was aligned with; nil when it is not at hand, and then the implicit one serves.
    public let baselineReward: (any RewardModel)?
    /// What the reward sees before the response.
    public let conversation: [Message]
    /// T, the longest answer in tokens.
    public let maximumLength: Int
    public let seed: UInt64
    /// What all randomness of an answer derives from: the seed, the conversation, and the reference's prompt where the
    /// policy tells it (``Policy/prompt``). The baseline's prompt has no part in it, so that answers under different
    /// baselines can be compared in pairs.
    let noise: Noise
    /// Unlimited unless set.
    public var budget = Budget()
    /// Strings that end the answer; nil for none. Of the policies' tokenizer.
    public var stop: StopStrings?
    /// Rollouts that make a batch as fast as it gets, or nearly: what looking ahead fills batches up to. It changes what a
    /// step costs, never what it chooses. At most ``mostWidth``.
    public var batchWidth = DecodingTask.mostWidth {
        didSet { batchWidth = min(max(batchWidth, 1), Self.mostWidth) }
    }
    public static let mostWidth = 40
    /// Takes the place of rollouts in `cd` and `transfer-q` (approximate).
    public var valueHead: (any ValueHead)?
    /// What `confidence` assumes of values before it has seen any.
    public var confidenceCalibration = ConfidenceCalibration.standard

    /// What an answer may cost; what there is when it is used up is the answer (finish reason `budget`).
    public struct Budget: Hashable, Sendable {
        /// Wall-clock seconds from the first step, > 0.
        public var seconds: Double?
        /// Tokens of the answer and of rollouts together, ≥ 1.
        public var tokens: Int?

        /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)``.
        public init(seconds: Double? = nil, tokens: Int? = nil) throws {
            if let seconds, !(seconds > 0 && seconds.isFinite) {
                throw TransferQError.invalidParameter(
                    name: "time-budget", value: "\(seconds)", requirement: "a finite number of seconds above 0")
            }
            if let tokens, tokens < 1 {
                throw TransferQError.invalidParameter(
                    name: "token-budget", value: "\(tokens)", requirement: "at least 1")
            }
            self.seconds = seconds
            self.tokens = tokens
        }

        init() {}

        /// The limits set, as a user asks for them.
        public var names: [String] {
            [seconds.map { "time-budget \($0)" }, tokens.map { "token-budget \($0)" }].compactMap { $0 }
        }
    }

    /// - Throws: ``TransferQError`` when the length is below 1, the vocabularies differ, or a policy has no room for a
    ///   single token.
    public init(
        reference: any Policy, baseline: (any Policy)? = nil, reward: (any RewardModel)? = nil,
        baselineReward: (any RewardModel)? = nil, conversation: [Message] = [], maximumLength: Int, seed: UInt64 = 0
    ) throws {
        guard maximumLength >= 1 else {
            throw TransferQError.invalidParameter(
                name: "max-tokens", value: "\(maximumLength)", requirement: "at least 1")
        }
        policies = try TaskPolicies(reference: reference, baseline: baseline)
        self.reward = reward
        self.baselineReward = baselineReward
        self.conversation = conversation
        self.maximumLength = min(
            maximumLength, policies.reference.maximumResponseLength, policies.baseline.maximumResponseLength, 1 << 30)
        self.seed = seed
        noise = Noise(seed: seed).derived(conversation: conversation, prompt: policies.reference.prompt)
    }

    var tokenizer: any Tokenizer { reference.tokenizer }

    /// Checks what rewards and values say of themselves, which searches go by.
    ///
    /// - Throws: ``TransferQError/badStatement(who:what:requirement:)``.
    func checkStatements() throws {
        if let reward, let calibration = reward.calibration,
            !(calibration.mean.isFinite && calibration.spread.isFinite && calibration.spread > 0)
        {
            throw TransferQError.badStatement(
                who: "the reward \(reward.name)",
                what: "a mean of \(calibration.mean) and a spread of \(calibration.spread)",
                requirement: "finite, the spread above 0")
        }
        if let valueHead, !(valueHead.differenceSpread.isFinite && valueHead.differenceSpread > 0) {
            throw TransferQError.badStatement(
                who: "the value head \(valueHead.name)",
                what: "a spread of differences of \(valueHead.differenceSpread)", requirement: "finite and above 0")
        }
    }

    /// Whether there is something to value candidates by.
    var hasValues: Bool { reward != nil || valueHead != nil }

    /// Values of candidates by the head, if there is one, or by rollouts of `policy`.
    ///
    /// - Parameter tilted: the policy that is tilted.
    func estimator(
        rollingOut policy: CheckedPolicy, lookAhead: LookAhead, tilted: Guidance.Tilt, method: String
    ) throws -> any ValueEstimator {
        if let valueHead {
            return HeadValue(head: valueHead, policy: tilted == .reference ? policies.reference : policies.baseline)
        }
        let scorer = RolloutScorer(policy: policy, reward: try requireReward(for: method), lookAhead: lookAhead)
        return RolloutMean(scorer: scorer)
    }

    func requireReward(for method: String) throws -> any RewardModel {
        guard let reward else { throw TransferQError.missingReward(method: method) }
        return reward
    }
}
