public import TransferQ

/// A GGUF model bound to one prompt.
///
/// The policy leases a sequence that holds the prompt, the response it saw last and maybe a path behind it. Rollouts and
/// readings fork it, or each other's remains: what they leave decoded stays until the response rules it out, so that no token
/// is decoded twice.
///
/// Its executor is its context's: the thread on which llama.cpp computes.
public actor LlamaPolicy: InProcessPolicy {
    public nonisolated let tokenizer: any Tokenizer
    public nonisolated let maximumResponseLength: Int
    public nonisolated let promptLength: Int
    public nonisolated let stateSource: StateSource?
    /// Tokens that the policy has had decoded so far, prompts included: the work it caused.
    public internal(set) var decodedTokens = 0

    nonisolated let context: LlamaContext
    /// Rollouts under way at most.
    let rolloutLimit: Int
    public nonisolated let prompt: [Token]
    let prefix: PrefixSequence
    let branches = BranchList()
    /// What goes along with a batch of the context.
    var announcement: Announcement?
    private let turn = Turn()

    public nonisolated var unownedExecutor: UnownedSerialExecutor { context.unownedExecutor }

    /// - Parameter rolloutLimit: rollouts under way at most; more go in waves. Policies that roll out in one context at the
    ///   same time must not ask for more than it holds together.
    /// - Throws: ``LlamaError/emptyPrompt``, ``LlamaError/promptTooLong(tokens:limit:)`` or
    ///   ``LlamaError/tooManySequences(needed:limit:)``.
    public init(context: LlamaContext, prompt: [Token], rolloutLimit: Int = .max) async throws {
        guard !prompt.isEmpty else { throw LlamaError.emptyPrompt }
        let limit = min(context.cells, context.model.contextLength)
        guard prompt.count < limit else { throw LlamaError.promptTooLong(tokens: prompt.count, limit: limit) }
        self.context = context
        self.prompt = prompt
        self.rolloutLimit = max(1, rolloutLimit)
        tokenizer = context.model.tokenizer
        promptLength = prompt.count
        maximumResponseLength = limit - prompt.count
        stateSource = context.model.stateSource(prompt: prompt, adapter: context.adapter)
        prefix = PrefixSequence(lease: try await context.lease(), prompt: prompt, context: context)
        context.cache.register(branches)
    }

    public func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        try await propose(request, along: [])[0]
    }

    public func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
        try await exclusively { policy, signal in
            try await policy.advance(to: request.response, along: path, signal: signal)
            return try (0...path.count).map { ahead in
                let allowed = request.constraint?.tokens(after: (request.response + path.prefix(ahead))[...])
                return try policy.prefix.withRow(at: policy.prefix.start + ahead) { row in
                    guard let allowed else { return row.candidates(count: request.count) }
                    let normaliser = row.logSumExp
                    return row.restricted(to: allowed) {
                        $0.candidates(count: min(request.count, allowed.count), normaliser: normaliser)
                    }
                }
            }
        }
    }

    public func logProbabilities(
        of tokens: [[Token]], after response: [Token], along path: [Token]
    ) async throws -> [[Double]] {
        let size = tokenizer.size
        if let stranger = tokens.joined().first(where: { $0 < 0 || $0 >= size }) {
            throw LlamaError.invalidToken(token: stranger, vocabulary: size)
        }
        return try await exclusively { policy, signal in
            try await policy.advance(to: response, along: path, signal: signal)
            return try tokens.enumerated().map { ahead, tokens in
                try policy.prefix.withRow(at: policy.prefix.start + ahead) { row in
                    let normaliser = row.logSumExp
                    return tokens.map { Double(row.logits[Int($0)]) - normaliser }
                }
            }
        }
    }

    public func prepare(after response: [Token], along path: [Token]) async throws {
        try await exclusively(whenSettled: false) { policy, _ in policy.announce(response, along: path) }
    }

    public func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
        try await exclusively { policy, signal in
            if request.wantsStates { policy.prefix.keepsStates = true }
            // Most rollouts begin with tokens that come from elsewhere.
            let wantsRow = request.starts.contains { $0.prefix.isEmpty && $0.beginning.tokens.isEmpty }
            try await policy.advance(to: request.response, wantsRows: wantsRow, signal: signal)
            return try await policy.rollOut(request, signal: signal)
        }
    }

    public func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
        // Next tokens are in the logits after the response: they take no sequence.
        if continuations.allSatisfy({ $0.prefix.isEmpty && $0.tokens.count == 1 }) {
            return try await logProbabilities(of: [continuations.map { $0.tokens[0] }], after: response, along: [])[0]
        }
        return try await read(continuations, after: response, wantsStates: false).map(\.logProbability)
    }

    public func read(_ continuations: [Continuation], after response: [Token]) async throws -> [Reading] {
        try await read(continuations, after: response, wantsStates: true)
    }

    private func read(
        _ continuations: [Continuation], after response: [Token], wantsStates: Bool
    ) async throws -> [Reading] {
        try await exclusively { policy, signal in
            if wantsStates { policy.prefix.keepsStates = true }
            try await policy.advance(to: response, signal: signal)
            let lengths = continuations.map { continuation in
                // What is decoded of each: the last token only for its state.
                let path = continuation.prefix + continuation.tokens
                let isEnded = path.last.map(policy.tokenizer.isEnd) ?? false
                return path.count - (path.isEmpty || (wantsStates && !isEnded) ? 0 : 1)
            }
            return try await policy.read(continuations, lengths: lengths, wantsStates: wantsStates, signal: signal)
        }
    }

    // MARK: The prefix sequence

    /// Makes the prefix sequence hold prompt, response and path, with the logits after the response and each token of the
    /// path, decoding what is new only. Whatever else it holds behind them stays.
    private func advance(
        to response: [Token], along path: [Token] = [], wantsRows: Bool = true, signal: AbortSignal
    ) async throws {
        let missing = prefix.turn(to: response, along: path, wantsRows: wantsRows, branches: branches)
        // The states of all but the prompt's last token are nobody's business.
        let stateStart =
            prefix.keepsStates ? max(0, promptLength - 1 - prefix.tokens.count) : missing.count
        try await extendPrefix(with: missing.prefix(stateStart), wantsStates: false, signal: signal)
        try await extendPrefix(with: missing.dropFirst(stateStart), wantsStates: true, signal: signal)
        prefix.dropOldRows()
    }

    private func extendPrefix(with tokens: ArraySlice<Token>, wantsStates: Bool, signal: AbortSignal) async throws {
        guard !tokens.isEmpty else { return }
        let first = prefix.tokens.count
        do {
            try await decode(
                prefix.entries(of: tokens, isRead: wantsStates),
                results: .logits(andStates: wantsStates && prefix.keepsStates), signal: signal
            ) { [prefix] index, output in
                prefix.keep(output, at: first + index + 1)
            }
            prefix.append(tokens)
        } catch {
            prefix.dropDecoded(behind: first)
            throw error
        }
    }

    // MARK: Plumbing

    var limit: Int { promptLength + maximumResponseLength }

    func decode(
        _ entries: [DecodeWork.Entry], results: DecodeWork.Results, signal: AbortSignal,
        receive: @escaping (Int, DecodeWork.Output) throws -> Void
    ) async throws {
        guard !entries.isEmpty else { return }
        decodedTokens += entries.count
        try await context.queue.decode(entries, results: results, signal: signal, receive: receive)
    }

    /// Runs work that a cancellation of the calling task interrupts, one request at a time; as a rule when nothing announced
    /// waits any more.
    private func exclusively<Result: Sendable>(
        whenSettled: Bool = true, _ work: (isolated LlamaPolicy, AbortSignal) async throws -> Result
    ) async throws -> Result {
        try await turn.take()
        defer { turn.pass() }
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            if whenSettled { await settle(signal) }
            if signal.isRaised { throw CancellationError() }
            return try await work(self, signal)
        } onCancel: {
            signal.raise()
        }
    }
}

extension Collection where Element == Token {
    func commonPrefixLength(with other: some Collection<Token>) -> Int {
        zip(self, other).prefix { $0 == $1 }.count
    }
}

extension LlamaModel {
    /// What the hidden states of this model, under an adapter, are computed from behind a prompt.
    public func stateSource(prompt: [Token], adapter: LlamaAdapter?) -> StateSource {
        StateSource(weights: "\(path)|\(adapter?.path ?? "")", prompt: prompt)
    }
}
