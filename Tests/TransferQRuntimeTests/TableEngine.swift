import Synchronization
import TransferQ
import TransferQRuntime
import TransferQTheory

/// An engine whose models are tables: what a runtime does with any engine that is not llama.cpp.
struct TableEngine: Engine {
    static let length = 6
    /// Slots that were made.
    let made = Counter()

    let capabilities = EngineCapabilities(hasStates: false, hasAdapters: false, sharesBatches: false)

    /// - Parameters:
    ///   - model: its name is a seed of a random table; 1 where there is none.
    func load(_ model: ModelSpec?, baseline: BaselineSpec?) throws -> TableModels {
        guard baseline?.system == nil, baseline?.adapter == nil else {
            throw RuntimeError.conflict("a table has no system prompt and no adapter; name another table")
        }
        return TableModels(
            reference: try Self.seed(model) ?? 1, baseline: try Self.seed(baseline?.model), made: made)
    }

    private static func seed(_ model: ModelSpec?) throws -> UInt64? {
        guard let model else { return nil }
        guard let seed = UInt64(model.name) else {
            throw RuntimeError.invalidSpecification(what: "model", reason: "\(model.name) is no number; give a seed")
        }
        return seed
    }

    func file(of model: ModelSpec?) -> String? { nil }

    func settings(_ model: ModelSpec?, baseline: BaselineSpec?) -> [String: String] {
        ["model": model?.name ?? "1", "baseline": baseline?.model?.name].compactMapValues { $0 }
    }

    final class Counter: Sendable {
        private let value = Mutex(0)
        var count: Int { value.withLock { $0 } }
        func add(_ number: Int) { value.withLock { $0 += number } }
    }
}

struct TableModels: LoadedModels {
    let reference: UInt64
    let baseline: UInt64?
    let made: TableEngine.Counter

    var identity: String { "table \(reference) \(baseline.map { "\($0)" } ?? "")" }
    var hasBaseline: Bool { baseline != nil }
    var reproducibility: Reproducibility { .exact }
    var contextLength: Int? { TableEngine.length }
    var tokenizer: any Tokenizer { Self.policy(reference).tokenizer }

    static func policy(_ seed: UInt64) -> TabularPolicy {
        TabularPolicy.random(vocabularySize: 5, maximumLength: TableEngine.length, endToken: 0, seed: seed)
    }

    func sources() -> (reference: ModelSource, baseline: ModelSource?) {
        (
            ModelSource(path: "table:\(reference)", sha256: nil),
            baseline.map { ModelSource(path: "table:\($0)", sha256: nil) }
        )
    }

    func prompts(for conversation: [Message], form: PromptForm) -> PromptTokens {
        PromptTokens(reference: [], baseline: [])
    }

    func maximumLength(_ wanted: Int, after prompts: PromptTokens) -> Int { min(wanted, TableEngine.length) }

    func slots(for plan: SlotPlan) -> SlotSet {
        made.add(plan.parallel)
        return SlotSet(groups: (0..<plan.parallel).map { _ in [TableSlot(models: self)] })
    }

    func openSlots(for plan: SlotPlan) -> SlotSet { slots(for: plan) }

    func slotMemory(for plan: SlotPlan) -> Int { 0 }

    func valueSource(_ tilt: Guidance.Tilt) -> ValueSource? { nil }
}

struct TableSlot: AnswerSlot {
    let models: TableModels
    let batchWidth = 8

    func policies(for prompts: PromptTokens) -> (reference: any Policy, baseline: (any Policy)?) {
        (TableModels.policy(models.reference), models.baseline.map(TableModels.policy))
    }

    nonisolated(nonsending) func perform<Result>(_ work: () async throws -> Result) async throws -> Result {
        try await work()
    }

    func performListed<Result: Sendable>(
        _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await work()
    }

    func leaveList() {}
}
