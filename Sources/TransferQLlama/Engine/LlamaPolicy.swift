public import TransferQ

/// A GGUF model bound to one prompt.
///
/// The policy leases a sequence, the trunk, that holds the prompt, the response it saw last and maybe a path behind it.
/// Rollouts and readings fork the trunk, or each other's remains: what they leave decoded stays until the response rules
/// it out, so that no token is decoded twice.
@InferenceActor
public final class LlamaPolicy: InProcessPolicy, CellKeeper {
    public nonisolated let tokenizer: any Tokenizer
    public nonisolated let maximumResponseLength: Int
    public nonisolated let promptLength: Int
    public nonisolated let stateSource: StateSource?
    /// Tokens that the policy has had decoded so far, prompts included: the work it caused.
    public private(set) var decodedTokens = 0

    let context: LlamaContext
    let share: Int
    public nonisolated let prompt: [Token]
    let trunk: SequenceLease
    /// What the trunk holds.
    private(set) var trunkTokens: [Token] = []
    /// Tokens of prompt and response: where rollouts and readings begin.
    private(set) var start = 0
    /// Logits after the first n tokens of the trunk, for some n.
    private var rows: [Int: [Float]] = [:]
    /// Whether states are kept: from the first time that they are asked for.
    var keepsStates = false
    /// States of the prompt's last token and the trunk's tokens behind it, one after the other, as far as they are known.
    private var trunkStates: [Float] = []
    var branches: [Branch] = []
    /// Whether part of the trunk waits for a batch of the context to go along with.
    private var isBoarding = false
    private let turn = Turn()

    /// What a rollout or a reading left decoded.
    struct Branch {
        /// The tokens that the sequence holds, from the prompt's first on.
        let tokens: [Token]
        let sequence: SequenceLease
        /// Logits, and the state when states are kept, at one of the tokens.
        let known: (length: Int, logits: [Float], state: [Float])?
    }

    /// - Parameter share: rollouts under way at most; more go in waves. Policies that roll out in one context at the same
    ///   time must not ask for more than it holds together.
    /// - Throws: ``LlamaError/emptyPrompt``, ``LlamaError/promptTooLong(tokens:limit:)`` or
    ///   ``LlamaError/tooManySequences(needed:limit:)``.
    public init(context: LlamaContext, prompt: [Token], share: Int = .max) throws {
        guard !prompt.isEmpty else { throw LlamaError.emptyPrompt }
        let limit = min(context.cells, context.model.contextLength)
        guard prompt.count < limit else { throw LlamaError.promptTooLong(tokens: prompt.count, limit: limit) }
        self.context = context
        self.prompt = prompt
        self.share = max(1, share)
        tokenizer = context.model.tokenizer
        promptLength = prompt.count
        maximumResponseLength = limit - prompt.count
        stateSource = context.model.stateSource(prompt: prompt, adapter: context.adapter)
        trunk = try context.cache.lease()
        context.cache.register(self)
    }

    /// Gives up what is kept only to save work.
    func dropBranches() { branches = [] }

    public func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        try await propose(request, along: [])[0]
    }

    public func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
        try await exclusively { signal in
            try await self.advance(to: request.response, along: path, signal: signal)
            return try (0...path.count).map { ahead in
                let allowed = request.constraint?.tokens(after: (request.response + path.prefix(ahead))[...])
                return try self.withRow(at: self.start + ahead) { row in
                    guard let allowed else { return row.candidates(count: request.count) }
                    let normaliser = row.logSumExp
                    return row.restricted(to: allowed) {
                        $0.candidates(count: min(request.count, allowed.count), normaliser: normaliser)
                    }
                }
            }
        }
    }

    /// ``logProbabilities(of:after:)`` for lists of tokens, the first after the response, the others along `path`, in one
    /// pass.
    public func logProbabilities(
        of tokens: [[Token]], after response: [Token], along path: [Token]
    ) async throws -> [[Double]] {
        let size = tokenizer.size
        if let stranger = tokens.joined().first(where: { $0 < 0 || $0 >= size }) {
            throw LlamaError.invalidToken(token: stranger, vocabulary: size)
        }
        return try await exclusively { signal in
            try await self.advance(to: response, along: path, signal: signal)
            return try tokens.enumerated().map { ahead, tokens in
                try self.withRow(at: self.start + ahead) { row in
                    let normaliser = row.logSumExp
                    return tokens.map { Double(row.logits[Int($0)]) - normaliser }
                }
            }
        }
    }

    public func prepare(after response: [Token], along path: [Token]) async throws {
        try await exclusively(whenSettled: false) { _ in try self.board(response, along: path) }
    }

    public func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
        try await exclusively { signal in
            self.keepsStates = self.keepsStates || request.wantsStates
            // Most rollouts begin with tokens that come from elsewhere.
            let wantsRow = request.starts.contains { $0.prefix.isEmpty && $0.beginning.tokens.isEmpty }
            try await self.advance(to: request.response, wantsRows: wantsRow, signal: signal)
            return try await self.rollOut(request, signal: signal)
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
        try await exclusively { signal in
            self.keepsStates = self.keepsStates || wantsStates
            try await self.advance(to: response, signal: signal)
            let lengths = continuations.map { continuation in
                // What is decoded of each: the last token only for its state.
                let path = continuation.prefix + continuation.tokens
                let isEnded = path.last.map(self.tokenizer.isEnd) ?? false
                return path.count - (path.isEmpty || (wantsStates && !isEnded) ? 0 : 1)
            }
            return try await self.read(continuations, lengths: lengths, wantsStates: wantsStates, signal: signal)
        }
    }

    // MARK: The trunk

    /// Makes the trunk hold prompt, response and path, with the logits after the response and each token of the path,
    /// decoding what is new only. Whatever else the trunk holds behind them stays.
    private func advance(
        to response: [Token], along path: [Token] = [], wantsRows: Bool = true, signal: AbortSignal
    ) async throws {
        let missing = try turnTrunk(to: response, along: path, wantsRows: wantsRows)
        // The states of all but the prompt's last token are nobody's business.
        let stateStart = keepsStates ? max(0, promptLength - 1 - trunkTokens.count) : missing.count
        try await extendTrunk(with: missing.prefix(stateStart), wantsStates: false, signal: signal)
        try await extendTrunk(with: missing.dropFirst(stateStart), wantsStates: true, signal: signal)
        rows = rows.filter { $0.key >= start }
    }

    /// As ``advance(to:along:signal:)``, along with the next batch of the context; nothing where much is missing.
    private func board(_ response: [Token], along path: [Token]) throws {
        // What is under way already is most likely the same.
        if isBoarding, !context.unboard(self) { return }
        isBoarding = false
        // The logits after the response come first; what is behind them can wait until they are missing as well.
        if rows[promptLength + response.count] != nil, trunkTokens.starts(with: prompt + response) { return }
        let missing = try turnTrunk(to: response, along: path, wantsRows: true)
        // The prompt's states are nobody's business, and its tokens are many.
        guard !missing.isEmpty, missing.count <= LlamaContext.mostPassengerTokens, trunkTokens.count >= promptLength
        else { return }
        let first = trunkTokens.count
        isBoarding = true
        let results = LlamaContext.Results.logits(andStates: keepsStates)
        context.board(entries(of: missing[...], isRead: keepsStates), of: self, results: results) {
            [weak self] index, output in
            self?.keep(output, at: first + index + 1)
        } land: { [weak self] error in
            self?.land(missing, behind: first, error)
        }
    }

    private func land(_ tokens: [Token], behind first: Int, _ error: (any Error)?) {
        isBoarding = false
        guard error == nil else { return dropDecoded(behind: first) }
        decodedTokens += tokens.count
        trunkTokens += tokens
    }

    /// Waits for what goes along with others' batches. What fails there is decoded again by whoever needs it, who is then
    /// told why; so is what no batch has room for, which would wait for ever: its owner takes cells that are kept only to
    /// save work, or is told that the context is full.
    private func settle(_ signal: AbortSignal) async {
        while isBoarding, !signal.isRaised {
            try? await context.decodePassengers(signal: signal)  // see above
            if isBoarding, context.unboard(self) { isBoarding = false }
        }
    }

    /// Turns the trunk to prompt, response and path: it keeps what agrees.
    ///
    /// - Parameter wantsRows: whether the logits after the response and each token of the path are wanted.
    /// - Returns: the tokens behind it that are to be decoded.
    private func turnTrunk(to response: [Token], along path: [Token], wantsRows: Bool) throws -> [Token] {
        let target = prompt + response
        let full = target + path
        start = target.count
        branches.removeAll { !$0.tokens.starts(with: target) }
        if keepsStates, firstUnknownState < trunkTokens.count { try cutTrunk(to: firstUnknownState) }
        try adopt(full)
        let common = trunkTokens.commonPrefixLength(with: full)
        let missing = (target.count...full.count).first { (wantsRows && rows[$0] == nil) || $0 > common }
        guard let missing else { return [] }
        // Another response, or logits that are not there: keep what agrees, but decode at least one token.
        if trunkTokens.count > min(common, missing - 1) { try cutTrunk(to: min(common, missing - 1)) }
        return Array(full.dropFirst(trunkTokens.count))
    }

    /// Takes over what a branch has of `full` beyond the trunk.
    private func adopt(_ full: [Token]) throws {
        let common = trunkTokens.commonPrefixLength(with: full)
        var best: (branch: Branch, length: Int)?
        for branch in branches {
            var length = branch.tokens.commonPrefixLength(with: full)
            // Where states are kept, only a token whose state is known.
            if keepsStates {
                guard let known = branch.known, known.length == common + 1, !known.state.isEmpty else { continue }
                length = min(length, known.length)
            }
            if length > max(common, best?.length ?? 0) { best = (branch, length) }
        }
        guard let (branch, length) = best, common >= promptLength else { return }
        if trunkTokens.count > common { try cutTrunk(to: common) }
        context.cache.adopt(common..<length, of: branch.sequence, into: trunk)
        trunkTokens += branch.tokens[common..<length]
        if let known = branch.known, known.length > common, known.length <= length {
            rows[known.length] = known.logits
            if keepsStates { trunkStates += known.state }
        }
    }

    private func extendTrunk(with tokens: ArraySlice<Token>, wantsStates: Bool, signal: AbortSignal) async throws {
        guard !tokens.isEmpty else { return }
        let first = trunkTokens.count
        do {
            try await decode(
                entries(of: tokens, isRead: wantsStates), results: .logits(andStates: wantsStates && keepsStates),
                signal: signal
            ) { index, output in
                keep(output, at: first + index + 1)
            }
            trunkTokens += tokens
        } catch {
            dropDecoded(behind: first)
            throw error
        }
    }

    /// Tokens that come behind the trunk.
    private func entries(of tokens: ArraySlice<Token>, isRead: Bool) -> [LlamaContext.Entry] {
        let first = trunkTokens.count
        return tokens.enumerated().map { offset, token in
            LlamaContext.Entry(
                token: token, position: first + offset, sequence: trunk,
                isOutput: isRead || first + offset + 1 >= start)
        }
    }

    private func keep(_ output: LlamaContext.Output, at length: Int) {
        if length >= start { rows[length] = Array(output.logits.logits) }
        if let state = output.state { trunkStates += state }
    }

    /// Whatever part of a batch was decoded is not to be trusted when it failed.
    private func dropDecoded(behind first: Int) {
        cutStates(to: first)
        rows = rows.filter { $0.key <= first }
        if context.cache.isTrimmed(trunk, to: first) { return }
        // Only all of it can go.
        _ = context.cache.isTrimmed(trunk, to: 0)
        (trunkTokens, rows, trunkStates) = ([], [:], [])
    }

    /// Where the first token stands, the prompt's last or one behind it, whose state is not known.
    private var firstUnknownState: Int { promptLength - 1 + trunkStates.count / context.model.width }

    private func cutTrunk(to length: Int) throws {
        try context.cache.trim(trunk, from: length)
        trunkTokens.removeLast(trunkTokens.count - length)
        rows = rows.filter { $0.key <= length }
        cutStates(to: length)
    }

    /// Keeps the states of the trunk's first `length` tokens.
    private func cutStates(to length: Int) {
        trunkStates = Array(trunkStates.prefix(max(0, length - promptLength + 1) * context.model.width))
    }

    /// The logits after the response.
    func withTrunkRow<Result>(_ body: (LogitRow) throws -> Result) throws -> Result {
        try withRow(at: start, body)
    }

    private func withRow<Result>(at length: Int, _ body: (LogitRow) throws -> Result) throws -> Result {
        try (rows[length] ?? []).withUnsafeBufferPointer { logits in
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
        for place in stride(from: width, to: (start - promptLength + 1) * width, by: width) {
            pool.add(trunkStates[place..<(place + width)])
        }
        return pool
    }

    /// Prompt and response.
    var committed: ArraySlice<Token> { trunkTokens[..<start] }

    // MARK: Plumbing

    var limit: Int { promptLength + maximumResponseLength }

    func decode(
        _ entries: [LlamaContext.Entry], results: LlamaContext.Results, signal: AbortSignal,
        receive: (Int, LlamaContext.Output) throws -> Void
    ) async throws {
        guard !entries.isEmpty else { return }
        decodedTokens += entries.count
        try await context.decode(entries, results: results, signal: signal, receive: receive)
    }

    /// Runs work that a cancellation of the calling task interrupts, one request at a time; as a rule when nothing of the
    /// trunk waits for a batch any more.
    private func exclusively<Result: Sendable>(
        whenSettled: Bool = true, _ work: @InferenceActor (AbortSignal) async throws -> Result
    ) async throws -> Result {
        try await turn.take()
        defer { turn.pass() }
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            if whenSettled { await settle(signal) }
            if signal.isRaised { throw CancellationError() }
            return try await work(signal)
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
    public nonisolated func stateSource(prompt: [Token], adapter: LlamaAdapter?) -> StateSource {
        StateSource(weights: "\(path)|\(adapter?.path ?? "")", prompt: prompt)
    }
}
