public import TransferQ
public import TransferQLlama

/// How large contexts must be for what runs in them.
struct ContextSize {
    /// Tokens of the longest answer.
    let longest: Int
    /// Answers at the same time.
    let parallel: Int
    /// Rollouts of one answer at the same time.
    let rollouts: Int
    /// Cells that these take.
    let rolloutCells: Int
    /// Whether rollouts of one answer have their contexts to themselves.
    let isAlone: Bool
    /// Whether looking ahead fills batches up.
    let isFilledUp: Bool

    /// - Parameters:
    ///   - hasValueHead: whether a head takes the place of rollouts.
    ///   - policies: 2 with a baseline, else 1.
    ///   - width: a width of batches that is worth having, where it was measured.
    init(
        for methods: [ConfiguredMethod], hasValueHead: Bool, longest: Int, policies: Int, parallel: Int, width: Int = 0
    ) {
        let demands = methods.map { method in
            var demand = method.method.demand(maximumLength: longest)
            // A value head decodes the candidates alone.
            if hasValueHead { demand.tokensPerSequence = min(demand.tokensPerSequence, 1) }
            return demand
        }
        let limit = min(
            max(Self.mostSequences, 2 * width),
            (LlamaLibrary.maximumSequences - 2 * policies * parallel) / parallel)
        let rollouts = max(1, min(demands.map(\.sequences).max() ?? 0, limit))
        self.longest = longest
        self.parallel = parallel
        self.rollouts = rollouts
        rolloutCells = demands.map { min($0.sequences, rollouts) * ($0.tokensPerSequence + 1) }.max() ?? 0
        isAlone = parallel == 1 && rollouts > 1
        isFilledUp = !hasValueHead && demands.contains { $0.isFilledUp }
    }

    /// Tokens that a context holds together.
    ///
    /// - Parameters:
    ///   - policies: of the context.
    ///   - prompt: tokens of their prompts together.
    func cells(policies: Int, prompt: Int, sharesStates: Bool = false) -> Int {
        parallel * (prompt + policies * (longest + 1) + rolloutCells + 2 * spare(sharesStates))
    }

    func configuration(
        of model: LlamaModel, threads: Int?, policies: Int, prompt: Int, sharesStates: Bool,
        attention: LlamaContext.Attention
    ) -> LlamaContext.Configuration {
        .init(
            cells: cells(policies: policies, prompt: prompt, sharesStates: sharesStates),
            sequences: min(
                parallel * (rollouts + policies) + spare(sharesStates), LlamaLibrary.maximumSequences),
            threads: threads,
            // Who chooses 32 bits wants answers that do not depend on the shape of a batch.
            attention: sharesStates || model.hasPreciseWeights ? model.readingAttention : isAlone ? attention : .flash)
    }

    /// More sequences where they can be had: one policy reads rollouts while another keeps its candidates, and a reward's
    /// readings of candidates go in waves.
    private func spare(_ sharesStates: Bool) -> Int { rollouts + (sharesStates ? 64 : 0) }

    /// Rollouts of one wave: wider batches are hardly faster on a processor, and their caches are large.
    private static let mostSequences = 96
}

/// What a run takes in memory, worked out before anything is loaded.
public struct RunMemory: Encodable, Sendable {
    public let model: MemoryEstimate
    /// What runs.
    public let method: String
    public let promptTokens: Int
    public let answerTokens: Int
    /// Bytes with a baseline on the same weights, weights included.
    public let total: Int

    /// - Parameter files: all files of the model.
    public init(
        files: [String], method: ConfiguredMethod, promptTokens: Int = 512, answerTokens: Int = 128,
        cacheType: LlamaOptions.CacheType = .f16
    ) throws {
        model = try MemoryEstimate(files: files, cacheType: cacheType)
        self.method = method.name
        self.promptTokens = promptTokens
        self.answerTokens = answerTokens
        let size = ContextSize(for: [method], hasValueHead: false, longest: answerTokens, policies: 2, parallel: 1)
        total = model.total(tokens: 2 * size.cells(policies: 1, prompt: promptTokens), contexts: 2)
    }
}
