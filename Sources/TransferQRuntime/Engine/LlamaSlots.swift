import Foundation
import TransferQ
import TransferQLlama

/// Makes slots in which answers of this process run.
///
/// Where rollouts make batches wide, groups of slots with a thread each get more out of a processor than one group with all
/// threads, which wait for each other at every operation; narrow batches are better all in one group.
enum LlamaSlots {
    /// - Parameter isListed: whether the answers are those of a list, for which what shares a batch follows from their work.
    static func make(for plan: SlotPlan, of models: LlamaModels, isListed: Bool = true) async throws -> SlotSet {
        // One answer at a time, by whatever methods, has all threads.
        guard plan.parallel > 1, let method = plan.methods.first else {
            return SlotSet(groups: [[try await slot(for: plan, of: models)]])
        }
        let threads = models.threads ?? ProcessInfo.processInfo.activeProcessorCount
        let rollsOut = method.method.demand(maximumLength: plan.maximumLength).tokensPerSequence > 1
        let prefersLanes = try await models.measuredSpeeds?.prefersLanes ?? true
        let isWide = rollsOut && plan.rewards.value == nil && prefersLanes
        let number = isWide ? min(plan.parallel, threads) : 1
        // More in a group lengthen what attention goes over, and the wait for the last; where a search leaves rollouts
        // out, it takes more to fill a batch. Measured: docs/benchmarks.
        let most = method.method.approximations.isEmpty ? 2 : 4
        let count = isWide ? min(plan.parallel, most * number) : plan.parallel
        var groups: [[any AnswerSlot]] = []
        for index in 0..<number {
            let lane =
                number == 1 ? InferenceLane.current : InferenceLane(threads: part(index, of: threads, among: number))
            let size = part(index, of: count, among: number)
            let contexts = try await InferenceLane.$current.withValue(lane) {
                try await SlotContexts(for: plan, of: models, parallel: size)
            }
            let rounds = isListed && size > 1 ? await AnswerRounds(members: size, contexts: contexts.contexts) : nil
            groups.append((0..<size).map { LlamaSlot(lane: lane, contexts: contexts, rounds: rounds, number: $0) })
        }
        return SlotSet(groups: groups)
    }

    private static func slot(for plan: SlotPlan, of models: LlamaModels) async throws -> any AnswerSlot {
        LlamaSlot(
            lane: InferenceLane.current, contexts: try await SlotContexts(for: plan, of: models, parallel: 1),
            rounds: nil, number: 0)
    }

    /// What one of so many gets, when the first take what is left over.
    private static func part(_ index: Int, of total: Int, among number: Int) -> Int {
        total / number + (index < total % number ? 1 : 0)
    }
}

private struct LlamaSlot: AnswerSlot {
    let lane: InferenceLane
    let contexts: SlotContexts
    /// What decides which tokens share a batch; nil where nobody shares one.
    let rounds: AnswerRounds?
    let number: Int

    var batchWidth: Int { contexts.batchWidth }

    func policies(for prompts: PromptTokens) async throws -> (reference: any Policy, baseline: (any Policy)?) {
        try await contexts.policies(for: prompts)
    }

    nonisolated(nonsending) func perform<Result>(_ work: () async throws -> Result) async throws -> Result {
        try await InferenceLane.$current.withValue(lane, operation: work)
    }

    func performListed<Result: Sendable>(
        _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await InferenceLane.$current.withValue(lane) {
            guard let rounds else { return try await work() }
            return try await rounds.run(number, work)
        }
    }

    func leaveList() async { await rounds?.leave(number) }
}

extension LlamaModels {
    /// Of the model that rolls out.
    fileprivate var speeds: BatchSpeeds {
        get async throws {
            try await BatchSpeeds.of(baselineModel ?? model, threads: threads, store: library.store)
        }
    }

    /// What decides more than the width of batches: with layers on a graphics processor alone.
    fileprivate var measuredSpeeds: BatchSpeeds? {
        get async throws { (baselineModel ?? model).isOffloaded ? try await speeds : nil }
    }
}

/// Contexts made to measure, which the answers of one group of slots run in at the same time.
private struct SlotContexts: Sendable {
    private let context: LlamaContext
    /// The reference's own where they share one.
    private let baselineContext: LlamaContext
    private let hasBaseline: Bool
    /// Rollouts that one policy has under way at most.
    private let mostRollouts: Int
    /// As measured of the model that rolls out.
    let batchWidth: Int

    /// What the policies compute in.
    var contexts: [LlamaContext] { context === baselineContext ? [context] : [context, baselineContext] }

    init(for plan: SlotPlan, of models: LlamaModels, parallel: Int) async throws {
        let lengths = try plan.prompts.map { try models.maximumLength(plan.maximumLength, after: $0) }
        let measured = try await models.measuredSpeeds
        let size = ContextSize(
            for: plan.methods, hasValueHead: plan.rewards.value != nil, longest: lengths.max() ?? 0,
            policies: models.hasBaseline ? 2 : 1, parallel: parallel, width: measured?.best ?? 0)
        let attention = measured?.attention ?? .matrix
        for method in plan.methods {
            try method.method.validate(vocabularySize: models.tokenizer.size, hasReward: plan.rewards.hasValues)
        }
        func reads(_ model: LlamaModel, _ prompt: [Token], _ adapter: LlamaAdapter?) -> Bool {
            plan.rewardSource == model.stateSource(prompt: prompt, adapter: adapter)
        }
        // As matrices, attention goes over all that a context holds; rollouts do better without the reference's cells.
        let isMatrix = size.isAlone && !models.model.hasPreciseWeights && attention == .matrix
        let isOne = models.isShared && models.hasBaseline && !isMatrix
        let prompt = max(
            isOne ? 2 * plan.longestPrompt : plan.longestPrompt,
            plan.prompts.map { isOne ? $0.reference.count + $0.baseline.count : $0.reference.count }.max() ?? 0)
        context = try await LlamaContext(
            model: models.model,
            configuration: size.configuration(
                of: models.model, threads: models.threads, policies: isOne ? 2 : 1, prompt: prompt,
                sharesStates: plan.prompts.contains { reads(models.model, $0.reference, nil) },
                attention: attention))
        if isOne || !models.hasBaseline {
            baselineContext = context
        } else {
            let model = models.baselineModel ?? models.model
            baselineContext = try await LlamaContext(
                model: model, adapter: models.adapter,
                configuration: size.configuration(
                    of: model, threads: models.threads, policies: 1,
                    prompt: max(plan.longestPrompt, plan.prompts.map(\.baseline.count).max() ?? 0),
                    sharesStates: plan.prompts.contains { reads(model, $0.baseline, models.adapter) },
                    attention: attention))
        }
        hasBaseline = models.hasBaseline
        batchWidth = size.isFilledUp ? try await models.speeds.best : DecodingTask.mostWidth
        mostRollouts = parallel == 1 ? .max : size.rollouts
    }

    func policies(for prompts: PromptTokens) async throws -> (reference: any Policy, baseline: (any Policy)?) {
        let reference = try await LlamaPolicy(context: context, prompt: prompts.reference, rolloutLimit: mostRollouts)
        guard hasBaseline else { return (reference, nil) }
        let baseline = try await LlamaPolicy(
            context: baselineContext, prompt: prompts.baseline, rolloutLimit: mostRollouts)
        return (reference, baseline)
    }
}
