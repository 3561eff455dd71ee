public import TransferQ

/// A prompt as the reference and the baseline read it.
public struct PromptTokens: Sendable {
    public let reference: [Token]
    public let baseline: [Token]
    /// Whether a system prompt went into the first turn of the user, of the one or the other.
    public let isSystemFolded: Bool
    /// The date that a template was told that asked for it, as `YYYY-MM-DDTHH:MM:SS`.
    public let templateDate: String?
    /// What a person should know of how the conversation was laid out, a sentence each.
    public let notices: [String]

    public init(
        reference: [Token], baseline: [Token], isSystemFolded: Bool = false, templateDate: String? = nil,
        notices: [String] = []
    ) {
        self.reference = reference
        self.baseline = baseline
        self.isSystemFolded = isSystemFolded
        self.templateDate = templateDate
        self.notices = notices
    }

    public var longest: Int { max(reference.count, baseline.count) }
}

/// What slots are made for.
public struct SlotPlan: Sendable {
    /// All prompts that will be answered, or one of their kind.
    public let prompts: [PromptTokens]
    /// Tokens of the longest prompt that may come beside these.
    public let longestPrompt: Int
    /// Longest answer in tokens.
    public let maximumLength: Int
    /// What will run, for each prompt one after the other.
    public let methods: [ConfiguredMethod]
    public let rewards: LoadedRewards
    /// Whose states the reward reads: where it is one of the policies, it shall find there what it would read by itself.
    public let rewardSource: StateSource?
    /// Answers at the same time.
    public let parallel: Int

    public init(
        prompts: [PromptTokens], longestPrompt: Int = 0, maximumLength: Int, methods: [ConfiguredMethod],
        rewards: LoadedRewards, rewardSource: StateSource?, parallel: Int = 1
    ) {
        self.prompts = prompts
        self.longestPrompt = longestPrompt
        self.maximumLength = maximumLength
        self.methods = methods
        self.rewards = rewards
        self.rewardSource = rewardSource
        self.parallel = parallel
    }
}

/// Room for one answer at a time.
public protocol AnswerSlot: Sendable {
    /// Rollouts that make a batch as fast as it gets, or nearly.
    var batchWidth: Int { get }

    /// The policies of a prompt; no baseline where it is the reference.
    func policies(for prompts: PromptTokens) async throws -> (reference: any Policy, baseline: (any Policy)?)

    /// Runs a part of an answer where the slot computes.
    nonisolated(nonsending) func perform<Result>(_ work: () async throws -> Result) async throws -> Result

    /// Runs one of the answers of a list, of which others run in slots beside this one: which tokens share a batch then
    /// follows from the work alone.
    func performListed<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws -> Result

    /// There is no more answer of the list for this slot.
    func leaveList() async
}

/// Slots that are there at the same time.
public struct SlotSet: Sendable {
    /// Slots that share batches stand together. An answer of a list goes to the group of its number modulo the number of
    /// groups.
    public let groups: [[any AnswerSlot]]

    public init(groups: [[any AnswerSlot]]) { self.groups = groups }

    /// Whether some answers share batches.
    public var sharesBatches: Bool { groups.contains { $0.count > 1 } }
    public var slots: [any AnswerSlot] { groups.flatMap { $0 } }
}
