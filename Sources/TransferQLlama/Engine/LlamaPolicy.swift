public import TransferQ

/// A GGUF model bound to one prompt.
///
/// The policy leases a sequence, the trunk, that holds the prompt and the response it saw last. Rollouts and readings
/// fork the trunk; the first token of each prefix stays decoded until the response moves on, so the token that is
/// chosen is never decoded again.
@InferenceActor
public final class LlamaPolicy: Policy {
    public nonisolated let vocabulary: any Vocabulary
    public nonisolated let maximumResponseLength: Int
    public nonisolated let promptLength: Int
    public nonisolated let stateSource: StateSource?
    /// Tokens that the policy has had decoded so far, prompts included: the work it caused.
    public private(set) var decodedTokens = 0

    let context: LlamaContext
    private let prompt: [Token]
    let trunk: SequenceLease
    /// What the trunk holds.
    private(set) var trunkTokens: [Token] = []
    /// Logits after `trunkTokens`; empty when they are not known.
    private var trunkLogits: [Float] = []
    /// Whether states are kept: from the first time that they are asked for.
    var keepsStates = false
    /// States of the prompt's last token and the response's tokens, one after the other, as far as they are known.
    private var trunkStates: [Float] = []
    var branches: [Branch] = []

    /// A fork of the trunk by one token, with what it leads to.
    struct Branch {
        let token: Token
        let sequence: SequenceLease
        let logits: [Float]
        /// Empty when states are not kept.
        let state: [Float]

        init(token: Token, sequence: SequenceLease, output: LlamaContext.Output) {
            self.token = token
            self.sequence = sequence
            logits = Array(output.logits.logits)
            state = output.state.map(Array.init) ?? []
        }
    }

    /// - Throws: ``LlamaError/emptyPrompt``, ``LlamaError/promptTooLong(tokens:limit:)`` or
    ///   ``LlamaError/tooManySequences(needed:limit:)``.
    public init(context: LlamaContext, prompt: [Token]) throws {
        guard !prompt.isEmpty else { throw LlamaError.emptyPrompt }
        let limit = min(context.cells, context.model.trainedContextLength)
        guard prompt.count < limit else { throw LlamaError.promptTooLong(tokens: prompt.count, limit: limit) }
        self.context = context
        self.prompt = prompt
        vocabulary = context.model.vocabulary
        promptLength = prompt.count
        maximumResponseLength = limit - prompt.count
        stateSource = context.model.stateSource(prompt: prompt, adapter: context.adapter)
        trunk = try context.lease()
        context.register(self)
    }

    /// Gives up the decoded candidates; the next step then decodes its token again.
    func dropBranches() { branches = [] }

    public func candidates(after response: [Token], count: Int) async throws -> [Candidate] {
        try await interruptible { signal in
            try advance(to: response, signal: signal)
            return try withTrunkRow { $0.candidates(count: count) }
        }
    }

    public func logProbabilities(of tokens: [Token], after response: [Token]) async throws -> [Double] {
        let size = vocabulary.size
        if let stranger = tokens.first(where: { $0 < 0 || $0 >= size }) {
            throw LlamaError.invalidToken(token: stranger, vocabulary: size)
        }
        return try await interruptible { signal in
            try advance(to: response, signal: signal)
            return try withTrunkRow { row in
                let normaliser = row.logSumExp
                return tokens.map { Double(row.logits[Int($0)]) - normaliser }
            }
        }
    }

    public func rollouts(_ request: RolloutRequest) async throws -> [[Rollout]] {
        try await interruptible { signal in
            try prepare(for: request.response, wantsStates: request.wantsStates, signal: signal)
            return try rollOut(request, signal: signal)
        }
    }

    public func read(
        _ continuations: [Continuation], after response: [Token], wantsStates: Bool
    ) async throws -> [Reading] {
        try await read(continuations, after: response, wantsStates: wantsStates, includesEnds: false)
    }

    /// - Parameter includesEnds: whether states are those at a last token that ends a response, too.
    func read(
        _ continuations: [Continuation], after response: [Token], wantsStates: Bool, includesEnds: Bool
    ) async throws -> [Reading] {
        try await interruptible { signal in
            try prepare(for: response, wantsStates: wantsStates, signal: signal)
            let lengths = continuations.map { continuation in
                // What is decoded of each: the last token only for its state.
                let path = continuation.prefix + continuation.tokens
                let isEnded = !includesEnds && (path.last.map(vocabulary.isEnd) ?? false)
                return path.count - (path.isEmpty || (wantsStates && !isEnded) ? 0 : 1)
            }
            return try read(continuations, lengths: lengths, wantsStates: wantsStates, signal: signal)
        }
    }

    // MARK: The trunk

    private func prepare(for response: [Token], wantsStates: Bool, signal: AbortSignal) throws {
        keepsStates = keepsStates || wantsStates
        try advance(to: response, signal: signal)
    }

    /// Makes the trunk hold prompt and response, with the logits after them, decoding what is new only.
    private func advance(to response: [Token], signal: AbortSignal) throws {
        let target = prompt + response
        if keepsStates, firstUnknownState < trunkTokens.count {
            branches = []
            try cutTrunk(to: firstUnknownState)
        }
        let common = zip(trunkTokens, target).prefix { $0 == $1 }.count
        if common == trunkTokens.count, common == target.count, !trunkLogits.isEmpty { return }

        if common < trunkTokens.count || common == target.count {
            // Another response, or logits lost to an error: keep what agrees, but decode at least one token.
            branches = []
            try cutTrunk(to: min(common, target.count - 1))
        } else if let branch = branches.first(where: { $0.token == target[common] }),
            !keepsStates || !branch.state.isEmpty
        {
            context.adopt(common..<(common + 1), of: branch.sequence, into: trunk)
            trunkTokens.append(branch.token)
            trunkLogits = branch.logits
            if keepsStates { trunkStates += branch.state }
        }
        branches = []
        // The states of all but the prompt's last token are nobody's business.
        let stateStart = keepsStates ? max(trunkTokens.count, promptLength - 1) : target.count
        try extendTrunk(with: target[..<stateStart].dropFirst(trunkTokens.count), wantsStates: false, signal: signal)
        try extendTrunk(with: target.dropFirst(trunkTokens.count), wantsStates: true, signal: signal)
    }

    private func extendTrunk(with tokens: ArraySlice<Token>, wantsStates: Bool, signal: AbortSignal) throws {
        guard !tokens.isEmpty else { return }
        let start = trunkTokens.count
        let entries = tokens.enumerated().map { offset, token in
            LlamaContext.Entry(
                token: token, position: start + offset, sequence: trunk,
                isOutput: wantsStates || offset == tokens.count - 1)
        }
        let knownStates = trunkStates.count
        trunkLogits = []
        do {
            try decode(entries, wantsStates: wantsStates, signal: signal) { index, output in
                if index == entries.count - 1 { trunkLogits = Array(output.logits.logits) }
                if let state = output.state { trunkStates += state }
            }
            trunkTokens += tokens
        } catch {
            // Whatever part was decoded is not to be trusted.
            trunkLogits = []
            trunkStates.removeLast(trunkStates.count - knownStates)
            try context.trim(trunk, from: start)
            throw error
        }
    }

    /// Where the first token stands, the prompt's last or one of the response's, whose state is not known.
    private var firstUnknownState: Int { promptLength - 1 + trunkStates.count / context.model.width }

    private func cutTrunk(to length: Int) throws {
        try context.trim(trunk, from: length)
        trunkTokens.removeLast(trunkTokens.count - length)
        trunkLogits = []
        trunkStates = Array(trunkStates.prefix(max(0, length - promptLength + 1) * context.model.width))
    }

    func withTrunkRow<Result>(_ body: (LogitRow) throws -> Result) throws -> Result {
        try trunkLogits.withUnsafeBufferPointer { logits in
            let row = LogitRow(logits)
            guard row.logSumExp.isFinite else { throw LlamaError.logitsNotNumeric }
            return try body(row)
        }
    }

    /// The states of the response; nil when they are not kept.
    func trunkPool() -> StatePool? {
        guard keepsStates else { return nil }
        let width = context.model.width
        var pool = StatePool(first: trunkStates[..<width])
        for start in stride(from: width, to: trunkStates.count, by: width) {
            pool.add(trunkStates[start..<(start + width)])
        }
        return pool
    }

    // MARK: Plumbing

    var limit: Int { promptLength + maximumResponseLength }

    func decode(
        _ entries: [LlamaContext.Entry], wantsStates: Bool, signal: AbortSignal,
        receive: (Int, LlamaContext.Output) throws -> Void
    ) throws {
        guard !entries.isEmpty else { return }
        decodedTokens += entries.count
        try context.decode(entries, wantsStates: wantsStates, signal: signal, receive: receive)
    }

    /// Runs synchronous work that a cancellation of the calling task interrupts.
    private func interruptible<Result: Sendable>(
        _ work: (AbortSignal) throws -> Result
    ) async throws -> Result {
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            try work(signal)
        } onCancel: {
            signal.raise()
        }
    }
}

extension LlamaModel {
    /// What the hidden states of this model, under an adapter, are computed from behind a prompt.
    public nonisolated func stateSource(prompt: [Token], adapter: LlamaAdapter?) -> StateSource {
        StateSource(weights: "\(path)|\(adapter?.path ?? "")", prompt: prompt)
    }
}
