import TransferQ

/// Where a ``TextReader`` reads in one lane: a context, and what was read in it last.
actor LaneReader {
    private let model: LlamaModel
    private let adapter: LlamaAdapter?
    private let threads: Int?
    private nonisolated let thread: InferenceThread
    private var context: LlamaContext?
    private var policy: LlamaPolicy?
    /// The last ones, the newest at the end.
    private var stateReaders: [StateReader] = []
    private var spentTokens = 0
    private let turn = Turn()

    /// - Parameter lane: where it reads, which must be the current one whenever it is asked to.
    init(model: LlamaModel, adapter: LlamaAdapter?, threads: Int?, lane: InferenceLane) {
        self.model = model
        self.adapter = adapter
        self.threads = threads
        thread = lane.thread
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Tokens decoded so far.
    var decodedTokens: Int {
        get async {
            let read = stateReaders.reduce(spentTokens) { $0 + $1.decodedTokens }
            return await read + (policy?.decodedTokens ?? 0)
        }
    }

    /// Gives up what earlier calls left to save work.
    func forget() async {
        spentTokens = await decodedTokens
        stateReaders = []
        policy = nil
    }

    /// The states of texts after a prompt, in order.
    ///
    /// - Throws: ``LlamaError/promptTooLong(tokens:limit:)`` when one does not fit the model; `CancellationError`.
    func states(of texts: [[Token]], prompt: [Token]) async throws -> [PooledState] {
        guard !texts.isEmpty else { return [] }
        try await turn.take()
        defer { turn.pass() }
        let context = try await context(prompt: prompt, texts: texts)
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            // Through `self`, so that it runs here.
            try await self.states(of: texts, prompt: prompt, in: context, signal: signal)
        } onCancel: {
            signal.raise()
        }
    }

    private func states(
        of texts: [[Token]], prompt: [Token], in context: LlamaContext, signal: AbortSignal
    ) async throws -> [PooledState] {
        try await stateReader(prompt: prompt, in: context).states(of: texts, signal: signal)
    }

    /// The one that knows `prompt`, or a new one in its stead.
    private func stateReader(prompt: [Token], in context: LlamaContext) -> StateReader {
        let reader =
            stateReaders.first { $0.prompt == prompt && $0.context === context }
            ?? StateReader(context: context, prompt: prompt)
        let others = stateReaders.filter { $0 !== reader }
        let kept = others.filter { $0.context === context }.suffix(Self.keptPrompts - 1)
        for reader in others where !kept.contains(where: { $0 === reader }) { spentTokens += reader.decodedTokens }
        stateReaders = kept + [reader]
        return reader
    }

    /// The policy that is bound to `prompt`, in a context that holds the longest text; the others take turns if need
    /// be.
    func policy(prompt: [Token], texts: [[Token]]) async throws -> LlamaPolicy {
        try await turn.take()
        defer { turn.pass() }
        let context = try await context(prompt: prompt, texts: texts)
        if let policy, policy.context === context, policy.stateSource?.prompt == prompt { return policy }
        let spent = await policy?.decodedTokens ?? 0
        policy = nil
        spentTokens += spent
        let policy = try await LlamaPolicy(context: context, prompt: prompt)
        self.policy = policy
        return policy
    }

    /// The context, a larger one if need be: with room for a prompt and its longest text, and for some more.
    private func context(prompt: [Token], texts: [[Token]]) async throws -> LlamaContext {
        let needed = prompt.count + (texts.map(\.count).max() ?? 0) + 1
        let limit = model.contextLength
        guard needed <= limit else { throw LlamaError.promptTooLong(tokens: needed, limit: limit) }
        if let context, context.cells >= needed { return context }
        let comfortable = needed + min(texts.reduce(0) { $0 + $1.count }, 2048)
        var cells = 2048
        while cells < comfortable { cells *= 2 }
        context = nil
        let context = try await LlamaContext(
            model: model, adapter: adapter,
            configuration: .init(
                cells: cells, sequences: Self.sequences, threads: threads, attention: model.readingAttention))
        self.context = context
        return context
    }

    private static let sequences = 128
    private static let keptPrompts = 16
}
