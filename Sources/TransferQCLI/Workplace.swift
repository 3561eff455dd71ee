import Foundation
import TransferQ
import TransferQLlama
import TransferQRewards

/// The models that take part.
struct LoadedModels: Sendable {
    let path: String
    let model: LlamaModel
    /// Nil when the baseline has the reference's weights.
    let baselineModel: LlamaModel?
    let adapter: LlamaAdapter?
    let options: ModelOptions

    var hasBaseline: Bool { baselineModel != nil || adapter != nil || options.baselineSystem != nil }
    /// Whether all weights have 32 bits.
    var areAllPrecise: Bool { model.hasPreciseWeights && baselineModel?.hasPreciseWeights ?? true }
    /// Whether one context serves both policies.
    var isShared: Bool { baselineModel == nil && adapter == nil }

    /// - Parameters:
    ///   - rewards: what they want makes a baseline where none was asked for.
    ///   - methods: what will run with the models.
    static func load(
        _ options: ModelOptions, rewards: Rewards? = nil, methods: [ConfiguredMethod] = []
    ) async throws -> LoadedModels {
        var options = options
        if options.baseline == nil, options.baselineLora == nil, options.baselineSystem == nil,
            methods.contains(where: { $0.method.usesBaseline }), let instruction = rewards?.target?.instruction
        {
            options.baselineSystem = instruction
            Console.say("the baseline is the same model under the reward's own system prompt: \"\(instruction)\"")
        }
        if let date = options.date { TemplateDate.set(date) }
        let path = try await ModelFiles.path(options.model)
        let model = try await ModelFiles.load(path)
        let baselineModel = try await options.baseline.asyncMap {
            try await ModelFiles.load(await ModelFiles.path($0))
        }
        if let baselineModel, baselineModel.vocabulary.fingerprint != model.vocabulary.fingerprint {
            throw TransferQError.vocabulariesDiffer(reference: model.path, baseline: baselineModel.path)
        }
        let adapter = try await options.baselineLora.asyncMap { path in
            try await ModelFiles.shelf.load(adapter: path, for: model)
        }
        return LoadedModels(
            path: path, model: model, baselineModel: baselineModel, adapter: adapter, options: options)
    }

    /// A conversation as each policy sees it.
    func prompts(for conversation: [Message], form: PromptForm = .chat) async throws -> PromptTokens {
        func encode(_ turns: [Message], _ model: LlamaModel) async throws -> PromptLayout {
            switch form {
            case .raw(let readsMarkers):
                try await model.layOut(
                    continuing: turns.map(\.content).joined(separator: "\n"), readsMarkers: readsMarkers)
            case .chat: try await PromptNotes.said(of: model.layOut(turns), model: model)
            }
        }
        let reference = try await encode(conversation, model)
        guard options.baselineSystem != nil || baselineModel != nil else {
            return PromptTokens(reference: reference, baseline: reference)
        }
        var turns = conversation
        if let system = options.baselineSystem {
            guard case .chat = form else {
                throw UsageError("--baseline-system needs a chat template, so it goes without --raw")
            }
            turns = [Message(role: "system", content: system)] + conversation.filter { $0.role != "system" }
        }
        return PromptTokens(reference: reference, baseline: try await encode(turns, baselineModel ?? model))
    }

    /// Whose hidden states a value head reads when a policy is tilted.
    func valueSource(
        _ tilt: Guidance.Tilt
    ) async throws -> (backbone: LinearHead.Backbone, system: String?, adapter: String?) {
        guard tilt == .baseline else { return (try await ModelFiles.store.backbone(of: model), nil, nil) }
        return (
            try await ModelFiles.store.backbone(of: baselineModel ?? model), options.baselineSystem,
            try await options.baselineLora.asyncMap { try await GGUFFile.sha256(of: $0) }
        )
    }

    /// Refuses a value head of another policy than those that `methods` tilt, and says where its states differ a little.
    func check(_ head: LinearValueHead, methods: [ConfiguredMethod]) async throws {
        let tilts: [Guidance.Tilt] = methods.compactMap { method in
            switch method.name {
            case ControlledDecoding.name: .reference
            case TransferQDirect.name:
                method.parameters.contains { $0.name == "tilt" && $0.value == .text(Guidance.Tilt.baseline.rawValue) }
                    ? .baseline : .reference
            default: nil
            }
        }
        for tilt in Guidance.Tilt.allCases where tilts.contains(tilt) {
            let (backbone, system, adapter) = try await valueSource(tilt)
            guard head.backbone.sha256 == backbone.sha256, head.backbone.width == backbone.width,
                head.adapter == adapter
            else {
                throw LlamaError.wrongBackbone(
                    head: head.name, model: tilt == .baseline ? (baselineModel ?? model).path : path,
                    reason: "it was fitted on states of \(head.backbone.model)"
                        + (head.adapter == adapter ? "" : ", and adapters differ"))
            }
            if head.backbone.type != backbone.type {
                Console.say(
                    "\(head.name) was fitted in the format \(head.backbone.type ?? "of the file") and runs in "
                        + "\(backbone.type ?? "that of the file"): its values are a little off")
            }
            if head.system != system {
                let fitted = head.system.map { "under the system prompt \"\($0)\"" } ?? "without a system prompt"
                Console.say(
                    "\(head.name) was fitted \(fitted), and the tilted policy has \(system == nil ? "none" : "another"): "
                        + "its values may be far off")
            }
        }
    }

    /// What an answer may have of `wanted` tokens behind its prompts.
    func maximumLength(_ wanted: Int, after prompts: PromptTokens) throws -> Int {
        let limit = model.trainedContextLength
        guard prompts.longest < limit else { throw LlamaError.promptTooLong(tokens: prompts.longest, limit: limit) }
        return min(wanted, limit - prompts.longest)
    }
}

/// A prompt as the reference and the baseline read it.
struct PromptTokens: Sendable {
    let reference: [Token]
    let baseline: [Token]
    /// Whether a system prompt went into the first turn of the user, of the one or the other.
    let isSystemFolded: Bool
    /// What a template was told that asked for the date.
    let date: TemplateDate?

    init(reference: PromptLayout, baseline: PromptLayout) {
        self.reference = reference.tokens
        self.baseline = baseline.tokens
        isSystemFolded = reference.isSystemFolded || baseline.isSystemFolded
        date = reference.date ?? baseline.date
    }

    var longest: Int { max(reference.count, baseline.count) }
}

/// Contexts made to measure, which several answers may be worked on in at the same time.
struct Workplace: Sendable {
    let models: LoadedModels
    private let context: LlamaContext
    /// The reference's own where they share one.
    private let baselineContext: LlamaContext
    /// What the policies compute in.
    var contexts: [LlamaContext] { context === baselineContext ? [context] : [context, baselineContext] }
    /// Rollouts that one policy has under way at most.
    private let share: Int
    /// As measured of the model that rolls out.
    let batchWidth: Int

    /// - Parameters:
    ///   - prompts: all that will be answered here.
    ///   - maximumLength: most tokens of an answer.
    ///   - methods: what will run here, for each prompt one after the other.
    ///   - rewardSource: whose states the reward reads: where it is one of the policies, it shall find there what it
    ///     would read by itself.
    ///   - parallel: answers worked on at the same time.
    init(
        models: LoadedModels, prompts: [PromptTokens], maximumLength: Int, methods: [ConfiguredMethod],
        rewardSource: StateSource?, rewards: Rewards, parallel: Int = 1
    ) async throws {
        let lengths = try prompts.map { try models.maximumLength(maximumLength, after: $0) }
        let longest = lengths.max() ?? 0
        for method in methods {
            try method.method.validate(vocabularySize: models.model.vocabulary.size, hasReward: rewards.hasValues)
        }
        let demands = methods.map { method in
            var demand = method.method.demand(maximumLength: longest)
            // A value head decodes the candidates alone.
            if rewards.value != nil { demand.tokensPerSequence = min(demand.tokensPerSequence, 1) }
            return demand
        }
        let policies = models.hasBaseline ? 2 : 1
        let limit = min(Self.mostSequences, (LlamaLibrary.maximumSequences - 2 * policies * parallel) / parallel)
        let share = max(1, min(demands.map(\.sequences).max() ?? 0, limit))
        // Rollouts of one answer have their contexts to themselves.
        let isAlone = parallel == 1 && share > 1
        let rolledOut = demands.map { min($0.sequences, share) * ($0.tokensPerSequence + 1) }.max() ?? 0

        func configuration(
            of model: LlamaModel, policies: Int, prompt: Int, sharesStates: Bool
        ) -> LlamaContext.Configuration {
            // More sequences where they can be had: one policy reads rollouts while another keeps its candidates, and a
            // reward's readings of candidates go in waves.
            let spare = share + (sharesStates ? 64 : 0)
            return .init(
                cells: parallel * (prompt + policies * (longest + 1) + rolledOut + 2 * spare),
                sequences: min(parallel * (share + policies) + spare, LlamaLibrary.maximumSequences),
                threads: models.options.threads,
                // Who chooses 32 bits wants answers that do not depend on the shape of a batch.
                attention: sharesStates || model.hasPreciseWeights
                    ? model.readingAttention : isAlone ? .matrix : .flash)
        }
        func reads(_ model: LlamaModel, _ prompt: [Token], _ adapter: LlamaAdapter?) -> Bool {
            rewardSource == model.stateSource(prompt: prompt, adapter: adapter)
        }
        // As matrices, attention goes over all that a context holds; rollouts do better without the reference's cells.
        let isMatrix = isAlone && !models.model.hasPreciseWeights && !LlamaLibrary.hasAccelerator
        let isOne = models.isShared && models.hasBaseline && !isMatrix
        let size = prompts.map { isOne ? $0.reference.count + $0.baseline.count : $0.reference.count }.max() ?? 0
        context = try await LlamaContext(
            model: models.model,
            configuration: configuration(
                of: models.model, policies: isOne ? 2 : 1, prompt: size,
                sharesStates: prompts.contains { reads(models.model, $0.reference, nil) }))
        if isOne || !models.hasBaseline {
            baselineContext = context
        } else {
            let model = models.baselineModel ?? models.model
            baselineContext = try await LlamaContext(
                model: model, adapter: models.adapter,
                configuration: configuration(
                    of: model, policies: 1, prompt: prompts.map(\.baseline.count).max() ?? 0,
                    sharesStates: prompts.contains { reads(model, $0.baseline, models.adapter) }))
        }
        let isFilledUp = rewards.value == nil && demands.contains { $0.isFilledUp }
        batchWidth =
            isFilledUp
            ? try await BatchWidth.of(
                models.baselineModel ?? models.model, threads: models.options.threads, store: ModelFiles.store
            ).best : DecodingTask.mostWidth
        self.models = models
        self.share = parallel == 1 ? .max : share
    }

    /// The reference, and the baseline where it is another policy.
    func policies(for prompts: PromptTokens) async throws -> (LlamaPolicy, LlamaPolicy?) {
        let reference = try await LlamaPolicy(context: context, prompt: prompts.reference, share: share)
        guard models.hasBaseline else { return (reference, nil) }
        return (reference, try await LlamaPolicy(context: baselineContext, prompt: prompts.baseline, share: share))
    }

    /// Rollouts of one wave: wider batches are hardly faster, and their caches are large.
    private static let mostSequences = 96
}

/// Finds, tries and loads model files.
enum ModelFiles {
    static let store = ModelStore.standard
    static let probe = ModelProbe(
        executable: Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0]),
        arguments: ["models", "verify"], store: store)

    static let shelf = ModelShelf(store: store, probe: probe) { Console.say($0) }

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
