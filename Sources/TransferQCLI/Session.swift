import Foundation
import TransferQ
import TransferQLlama

/// Everything that commands need to answer a prompt: models loaded, prompts tokenised, contexts made to measure.
struct Session: Sendable {
    /// What makes the baseline another policy than the reference.
    struct BaselineSource: Sendable {
        let path: String
        let adapter: String?
        let system: String?
    }

    /// Nil when the reference is its own baseline.
    let baselineSource: BaselineSource?
    let model: LlamaModel
    let modelPath: String
    let reference: LlamaPolicy
    let baseline: LlamaPolicy?
    let conversation: [Message]
    let reward: (any RewardModel)?
    let baselineReward: (any RewardModel)?
    let maximumLength: Int
    let seed: UInt64
    let budget: DecodingTask.Budget
    let referencePrompt: [Token]
    let baselinePrompt: [Token]

    /// - Parameters:
    ///   - raw: whether the conversation's text is continued without a template.
    ///   - methods: what will run in this session, one after the other.
    static func open(
        models: ModelOptions, conversation: [Message], raw: Bool = false, answer: AnswerOptions, rewards: Rewards,
        methods: [ConfiguredMethod]
    ) async throws -> Session {
        let reward = rewards.target
        let path = try await ModelFiles.path(models.model)
        let model = try await ModelFiles.load(path)
        let baselineModel = try await models.baseline.asyncMap { try await ModelFiles.load(await ModelFiles.path($0)) }
        if let baselineModel, baselineModel.vocabulary.fingerprint != model.vocabulary.fingerprint {
            throw TransferQError.vocabulariesDiffer(reference: model.path, baseline: baselineModel.path)
        }
        let adapter = try await models.baselineLora.asyncMap { path in
            try await ModelFiles.shelf.load(adapter: path, for: model)
        }

        let tokens = try await encode(conversation, raw: raw, model: model)
        var baselineTokens = tokens
        if let system = models.baselineSystem {
            guard !raw else {
                throw UsageError("--baseline-system needs a chat template, so it goes without --raw")
            }
            let turns = conversation.filter { $0.role != "system" }
            baselineTokens = try await encode(
                [Message(role: "system", content: system)] + turns, raw: false, model: baselineModel ?? model)
        } else if let baselineModel {
            baselineTokens = try await encode(conversation, raw: raw, model: baselineModel)
        }

        // Cells: what each policy holds, and the rollouts of one step.
        let limit = model.trainedContextLength
        let longest = max(tokens.count, baselineTokens.count)
        guard longest < limit else { throw LlamaError.promptTooLong(tokens: longest, limit: limit) }
        let maximumLength = min(answer.maxTokens, limit - longest)
        for method in methods {
            try method.method.validate(vocabularySize: model.vocabulary.size, hasReward: reward != nil)
        }
        let demands = methods.map { $0.method.demand(maximumLength: maximumLength) }
        // What does not fit goes in waves, within reason.
        if let most = demands.map(\.sequences).max(), most > Self.mostRollouts {
            throw TransferQError.invalidParameter(
                name: "the number of rollouts of a step", value: "\(most)",
                requirement: "at most \(Self.mostRollouts); lower k, rollouts, width or n")
        }
        let sequences = min(demands.map(\.sequences).max() ?? 0, Self.mostSequences)
        let rolledOut =
            demands.map { min($0.sequences, Self.mostSequences) * ($0.tokensPerSequence + 1) }.max() ?? 0
        let hasBaseline = models.baseline != nil || adapter != nil || models.baselineSystem != nil
        let isShared = baselineModel == nil && adapter == nil
        // A reward that reads the states of these very policies shall find what it would read by itself.
        let rewardSource = try await reward?.stateSource(for: conversation)
        func configuration(
            policies: Int, prompts: Int, of model: LlamaModel, _ prompt: [Token], _ adapter: LlamaAdapter?
        ) -> LlamaContext.Configuration {
            // More sequences where they can be had: one policy reads rollouts while another keeps its candidates, and a
            // reward's readings of candidates go in waves.
            let sharesStates = rewardSource == model.stateSource(prompt: prompt, adapter: adapter)
            let needed = sequences + policies
            let spare = sequences + (sharesStates ? 64 : 0)
            return .init(
                cells: prompts + policies * (maximumLength + 1) + rolledOut + 2 * spare,
                sequences: max(needed, min(needed + spare, LlamaLibrary.maximumSequences)), threads: models.threads,
                isPrecise: sharesStates)
        }
        let context = try await LlamaContext(
            model: model,
            configuration: hasBaseline && isShared
                ? configuration(policies: 2, prompts: tokens.count + baselineTokens.count, of: model, tokens, nil)
                : configuration(policies: 1, prompts: tokens.count, of: model, tokens, nil))
        var baseline: LlamaPolicy?
        if hasBaseline {
            let own =
                isShared
                ? context
                : try await LlamaContext(
                    model: baselineModel ?? model, adapter: adapter,
                    configuration: configuration(
                        policies: 1, prompts: baselineTokens.count, of: baselineModel ?? model, baselineTokens,
                        adapter))
            baseline = try await LlamaPolicy(context: own, prompt: baselineTokens)
        }
        let source =
            hasBaseline
            ? BaselineSource(
                path: (baselineModel ?? model).path, adapter: models.baselineLora, system: models.baselineSystem)
            : nil
        return Session(
            baselineSource: source, model: model, modelPath: path,
            reference: try await LlamaPolicy(context: context, prompt: tokens),
            baseline: baseline, conversation: conversation, reward: reward, baselineReward: rewards.baseline,
            maximumLength: maximumLength, seed: answer.seed, budget: try answer.budget,
            referencePrompt: tokens, baselinePrompt: baselineTokens)
    }

    /// Rollouts of one wave: wider batches are hardly faster, and their caches are large.
    private static let mostSequences = 96

    private static let mostRollouts = 10_000

    func task() throws -> DecodingTask {
        var task = try DecodingTask(
            reference: reference, baseline: baseline, reward: reward, baselineReward: baselineReward,
            conversation: conversation, maximumLength: maximumLength, seed: seed)
        task.budget = budget
        return task
    }

    /// Decodes the prompts ahead of any generation.
    func readPrompts() async throws {
        _ = try await reference.candidates(after: [], count: 1)
        _ = try await baseline?.candidates(after: [], count: 1)
    }

    /// Runs one generation to its end, or to where Ctrl-C or a failing reward cut it.
    ///
    /// A failure behind the first step is said on standard error and leaves what there is, with the reason `failed`.
    ///
    /// - Parameter onStep: called with every step and the vocabulary that its tokens belong to.
    func run(
        _ method: ConfiguredMethod, warns: Bool = true, onStep: @Sendable (DecodingStep) throws -> Void
    ) async throws -> GenerationSummary {
        var hasStep = false
        let task = try task()
        for warning in warns ? method.method.warnings(for: task) : [] { Console.say("\(method.name): \(warning)") }
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
        } catch is CancellationError {
            return try await iterator.summary(.cancelled)
        } catch  where hasStep {
            Console.say("error: \(error)")
            return try await iterator.summary(.failed)
        }
        throw CancellationError()
    }

    private static func encode(_ conversation: [Message], raw: Bool, model: LlamaModel) async throws -> [Token] {
        raw
            ? try await model.prompt(continuing: conversation.map(\.content).joined(separator: "\n"))
            : try await model.prompt(for: conversation)
    }
}

/// The rewards of a command line, made once for all its prompts.
struct Rewards: Sendable {
    let target: (any RewardModel)?
    let baseline: (any RewardModel)?

    init(_ answer: AnswerOptions, models: ModelOptions) async throws {
        let catalogue = try await RewardOptions.catalogue(
            timeout: answer.rewardTimeout, threads: models.threads, model: models.model)
        func parsed(_ specifications: [String]) async throws -> (any RewardModel)? {
            specifications.isEmpty ? nil : try await catalogue.parse(specifications)
        }
        target = try await parsed(answer.reward)
        baseline = try await parsed(answer.baselineReward)
    }
}

/// Finds, tries and loads model files.
enum ModelFiles {
    static let store = ModelStore.standard
    static let probe = ModelProbe(
        executable: Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0]),
        arguments: ["models", "verify"], store: store)

    static let shelf = ModelShelf(store: store, probe: probe)

    /// The file of a name or path; the demonstration model's when there is none.
    static func path(_ name: String?) async throws -> String {
        try await shelf.file(name ?? KnownModel.demonstration.name)
    }

    static func load(_ path: String) async throws -> LlamaModel { try await shelf.load(path) }
}

extension Optional {
    func asyncMap<Result>(_ transform: (Wrapped) async throws -> Result) async rethrows -> Result? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
