import Foundation
import TransferQ
import TransferQLlama
import TransferQRewards

/// Everything that commands need to answer a prompt: policies bound to it, rewards, limits.
struct Session: Sendable {
    let workplace: Workplace
    let reference: LlamaPolicy
    let baseline: LlamaPolicy?
    let conversation: [Message]
    let rewards: Rewards
    let maximumLength: Int
    let seed: UInt64
    let budget: DecodingTask.Budget
    let prompts: PromptTokens

    var models: LoadedModels { workplace.models }
    var model: LlamaModel { models.model }
    var reward: (any RewardModel)? { rewards.target }

    /// A session with contexts of its own.
    ///
    /// - Parameters:
    ///   - form: how the conversation becomes tokens.
    ///   - methods: what will run in this session, one after the other.
    static func open(
        models: ModelOptions, conversation: [Message], form: PromptForm = .chat, answer: AnswerOptions,
        rewards: Rewards,
        methods: [ConfiguredMethod]
    ) async throws -> Session {
        try await Sessions(
            models: models, conversations: [conversation], form: form, answer: answer,
            rewards: rewards, methods: methods
        ).open(0)
    }

    init(
        _ workplace: Workplace, _ conversation: [Message], _ prompts: PromptTokens, answer: AnswerOptions,
        rewards: Rewards
    ) async throws {
        self.workplace = workplace
        self.conversation = conversation
        self.prompts = prompts
        self.rewards = rewards
        maximumLength = try workplace.models.maximumLength(answer.maxTokens, after: prompts)
        seed = answer.seed
        budget = try answer.budget
        (reference, baseline) = try await workplace.policies(for: prompts)
    }

    func task() throws -> DecodingTask {
        var task = try DecodingTask(
            reference: reference, baseline: baseline, reward: rewards.target, baselineReward: rewards.baseline,
            conversation: conversation, maximumLength: maximumLength, seed: seed)
        task.budget = budget
        task.batchWidth = workplace.batchWidth
        task.valueHead = rewards.value
        if let confidence = rewards.confidence { task.confidenceCalibration = confidence }
        return task
    }

    /// What makes an answer differ from its method's own.
    var approximations: [String] { (rewards.value.map { ["value \($0.name)"] } ?? []) + budget.names }

    /// Decodes the prompts ahead of any generation.
    func readPrompts() async throws {
        _ = try await reference.candidates(after: [], count: 1)
        _ = try await baseline?.candidates(after: [], count: 1)
    }

    /// Runs one generation to its end, or to where Ctrl-C or a failing reward cut it.
    ///
    /// A failure behind the first step is said on standard error and leaves what there is, with the reason `failed`.
    ///
    /// - Parameters:
    ///   - isWhole: whether only a whole answer will do: then what cut it is thrown.
    ///   - onStep: called with every step and the vocabulary that its tokens belong to.
    func run(
        _ method: ConfiguredMethod, warns: Bool = true, isWhole: Bool = false,
        onStep: @Sendable (DecodingStep) throws -> Void
    ) async throws -> GenerationSummary {
        var hasStep = false
        let task = try task()
        for warning in warns ? method.method.warnings(for: task) : [] { Console.say("\(method.name): \(warning)") }
        if warns, method.hasConfidence, rewards.confidence == nil {
            Console.say(
                "--confidence goes by how values differed with \(ConfidenceCalibration.standard.source); for another "
                    + "model or reward, measure it with transferq value confidence")
        }
        var iterator = try Generation(task: task, method: method.method).makeAsyncIterator()
        do {
            while let event = try await iterator.next() {
                switch event {
                case .step(let step):
                    hasStep = true
                    try onStep(step)
                case .finished(let summary):
                    if let value = summary.diagnostics.outsideRange {
                        Console.say(
                            "the reward came to \(value), outside --reward-range; such steps were searched in full, but "
                                + "others may have left out too much: state a wider range")
                    }
                    return summary
                }
            }
        } catch  where isWhole {
            throw error
        } catch is CancellationError {
            return try await iterator.summary(.cancelled)
        } catch  where hasStep {
            Console.say("error: \(error)")
            return try await iterator.summary(.failed)
        }
        throw CancellationError()
    }
}

/// Sessions on conversations that are known before, one after the other in the same contexts.
struct Sessions: Sendable {
    private let conversations: [[Message]]
    private let prompts: [PromptTokens]
    private let answer: AnswerOptions
    private let rewards: Rewards
    /// Nil without conversations.
    private let workplace: Workplace?

    /// - Parameters:
    ///   - form: how the conversations become tokens.
    ///   - methods: what will run in each session, one after the other.
    init(
        models: ModelOptions, conversations: [[Message]], form: PromptForm = .chat, answer: AnswerOptions,
        rewards: Rewards,
        methods: [ConfiguredMethod]
    ) async throws {
        let loaded = try await LoadedModels.load(models, rewards: form.isChat ? rewards : nil, methods: methods)
        if let value = rewards.value { try await loaded.check(value, methods: methods) }
        prompts = try await conversations.asyncMap { try await loaded.prompts(for: $0, form: form) }
        workplace = try await conversations.first.asyncMap { [prompts] first in
            try await Workplace(
                models: loaded, prompts: prompts, maximumLength: answer.maxTokens, methods: methods,
                rewardSource: try await rewards.target?.stateSource(for: first), rewards: rewards)
        }
        self.conversations = conversations
        self.answer = answer
        self.rewards = rewards
    }

    /// The session of the conversation at `place`; no other may be open.
    func open(_ place: Int) async throws -> Session {
        guard let workplace else { throw UsageError("there is no conversation; give a prompt") }
        return try await Session(
            workplace, conversations[place], prompts[place], answer: answer, rewards: rewards)
    }
}

/// The rewards of a command line, made once for all its prompts.
struct Rewards: Sendable {
    let target: (any RewardModel)?
    let baseline: (any RewardModel)?
    /// In place of rollouts.
    let value: LinearValueHead?
    /// Paths of all files that rewards, the value head and the calibration of `confidence` were made from.
    let files: [String]
    /// What `confidence` assumes; nil for the standard.
    let confidence: ConfidenceCalibration?

    var hasValues: Bool { target != nil || value != nil }

    init(_ answer: AnswerOptions, models: ModelOptions) async throws {
        let catalogue = try await RewardOptions.catalogue(
            timeout: answer.rewardTimeout, threads: models.threads, model: models.model)
        func parsed(_ specifications: [String]) async throws -> (any RewardModel)? {
            specifications.isEmpty ? nil : try await catalogue.parse(specifications)
        }
        target = try await parsed(answer.reward)
        baseline = try await parsed(answer.baselineReward)
        let valueFile = try answer.value.map { text in
            guard text.hasPrefix("head:") else {
                throw UsageError("--value must be head:FILE, not \(text); make a file with transferq value fit")
            }
            return String(text.dropFirst("head:".count))
        }
        value = try valueFile.map(LinearValueHead.read)
        confidence = try answer.confidenceCalibration.map(ConfidenceFile.read)
        files =
            (target?.files ?? []) + (baseline?.files ?? [])
            + [valueFile, answer.confidenceCalibration].compactMap { $0 }
    }
}
