public import TransferQ

/// A GGUF model bound to one prompt.
///
/// The policy leases a sequence, the trunk, that holds the prompt and the response it saw last. Rollouts fork the
/// trunk; the first token of each prefix stays decoded until the response moves on, so the token that is chosen is
/// never decoded again.
@InferenceActor
public final class LlamaPolicy: Policy {
    public nonisolated let vocabulary: any Vocabulary
    public nonisolated let maximumResponseLength: Int
    public nonisolated let promptLength: Int
    /// Tokens that the policy has had decoded so far, prompts included: the work it caused.
    public private(set) var decodedTokens = 0

    private let context: LlamaContext
    private let prompt: [Token]
    private let trunk: SequenceLease
    /// What the trunk holds.
    private var trunkTokens: [Token] = []
    /// Logits after `trunkTokens`; empty when they are not known.
    private var trunkLogits: [Float] = []
    private var branches: [Branch] = []

    /// A fork of the trunk by one token, with the logits after it.
    private struct Branch {
        let token: Token
        let sequence: SequenceLease
        let logits: [Float]
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
            try advance(to: request.response, signal: signal)
            return try rollOut(request, signal: signal)
        }
    }

    public func logProbabilities(
        of continuations: [Continuation], after response: [Token]
    ) async throws -> [Double] {
        try await interruptible { signal in
            try advance(to: response, signal: signal)
            return try read(continuations, signal: signal)
        }
    }

    // MARK: The trunk

    /// Makes the trunk hold prompt and response, with the logits after them, decoding what is new only.
    private func advance(to response: [Token], signal: AbortSignal) throws {
        let target = prompt + response
        let common = zip(trunkTokens, target).prefix { $0 == $1 }.count
        if common == trunkTokens.count, common == target.count, !trunkLogits.isEmpty { return }

        if common < trunkTokens.count || common == target.count {
            // Another response, or logits lost to an error: keep what agrees, but decode at least one token.
            branches = []
            try cutTrunk(to: min(common, target.count - 1))
        } else if let branch = branches.first(where: { $0.token == target[common] }) {
            context.adopt(common..<(common + 1), of: branch.sequence, into: trunk)
            trunkTokens.append(branch.token)
            trunkLogits = branch.logits
        }
        branches = []
        guard trunkTokens.count < target.count else { return }

        let start = trunkTokens.count
        let entries = (start..<target.count).map { position in
            LlamaContext.Entry(
                token: target[position], position: position, sequence: trunk,
                wantsLogits: position == target.count - 1)
        }
        trunkLogits = []
        do {
            try decode(entries, signal: signal) { _, row in trunkLogits = Array(row.logits) }
            trunkTokens = target
        } catch {
            // Whatever part was decoded is not to be trusted.
            try context.trim(trunk, from: start)
            throw error
        }
    }

    private func cutTrunk(to length: Int) throws {
        try context.trim(trunk, from: length)
        trunkTokens.removeLast(trunkTokens.count - length)
        trunkLogits = []
    }

    private func withTrunkRow<Result>(_ body: (LogitRow) throws -> Result) throws -> Result {
        try trunkLogits.withUnsafeBufferPointer { logits in
            let row = LogitRow(logits)
            guard row.logSumExp.isFinite else { throw LlamaError.logitsNotNumeric }
            return try body(row)
        }
    }

    // MARK: Rollouts

    /// One rollout in the making.
    private struct Row {
        let noise: Noise
        var rollout = Rollout(tokens: [], logProbability: 0, finishReason: .length)
        /// Nil until a token is to be decoded.
        var sequence: SequenceLease?
        /// Where the rollout's last token belongs.
        var position: Int
        var isDone = false
    }

    private func rollOut(_ request: RolloutRequest, signal: AbortSignal) throws -> [[Rollout]] {
        let ended = request.prefixes.map { $0.last.map(vocabulary.isEnd) ?? false }
        let start = trunkTokens.count
        guard start + (request.prefixes.map(\.count).max() ?? 0) + request.maximumLength <= limit else {
            throw LlamaError.contextFull(
                needed: start + request.maximumLength + 1, cells: limit)
        }
        var rows: [[Row]] = request.prefixes.map { _ in [] }
        guard request.maximumLength > 0, request.count > 0 else {
            return zip(request.prefixes, ended).map { _, isEnded in
                let rollout = Rollout(tokens: [], logProbability: 0, finishReason: isEnded ? .stop : .length)
                return [Rollout](repeating: rollout, count: request.count)
            }
        }

        // All prefixes in one batch. Their branches replace those of an earlier request.
        branches = []
        var entries: [LlamaContext.Entry] = []
        var owners: [(prefix: Int, sequence: SequenceLease)] = []
        for (index, prefix) in request.prefixes.enumerated() where !ended[index] {
            if prefix.isEmpty {
                rows[index] = try withTrunkRow { try begin(request, prefix: prefix, row: $0) }
                continue
            }
            let sequence = try context.fork(trunk, length: start)
            for (offset, token) in prefix.enumerated() {
                owners.append((index, sequence))
                entries.append(
                    LlamaContext.Entry(
                        token: token, position: start + offset, sequence: sequence,
                        wantsLogits: offset == prefix.count - 1))
            }
        }
        var newBranches: [Branch] = []
        try decode(entries, signal: signal) { entry, row in
            let (index, sequence) = owners[entry]
            let prefix = request.prefixes[index]
            rows[index] = try begin(request, prefix: prefix, row: row)
            rows[index][0].sequence = sequence
            if prefix.count == 1 {
                newBranches.append(Branch(token: prefix[0], sequence: sequence, logits: Array(row.logits)))
            }
        }
        // Only now is every prefix decoded, so that the other rollouts can fork it.
        for index in rows.indices {
            let source = rows[index].first?.sequence ?? trunk
            let length = start + request.prefixes[index].count
            for rollout in rows[index].indices
            where !rows[index][rollout].isDone && rows[index][rollout].sequence == nil {
                rows[index][rollout].sequence = try context.fork(source, length: length)
            }
        }
        let width = rows.map(\.count)
        var flat = Array(rows.joined())
        try extend(&flat, request: request, signal: signal)

        // The branches keep their one token; the rest of the rollouts goes.
        for branch in newBranches {
            try context.trim(branch.sequence, from: start + 1)
        }
        branches = newBranches

        var rest = flat.map(\.rollout)[...]
        return zip(width, ended).map { width, isEnded in
            if isEnded {
                let rollout = Rollout(tokens: [], logProbability: 0, finishReason: .stop)
                return [Rollout](repeating: rollout, count: request.count)
            }
            defer { rest = rest.dropFirst(width) }
            return Array(rest.prefix(width))
        }
    }

    /// The first token of each rollout of a prefix, from the logits after the prefix.
    private func begin(
        _ request: RolloutRequest, prefix: [Token], row: LogitRow
    ) throws -> [Row] {
        try (0..<request.count).map { index in
            var new = Row(
                noise: request.noise(prefix: prefix, rollout: index),
                position: trunkTokens.count + prefix.count - 1)
            try append(to: &new, row: row, request: request)
            return new
        }
    }

    /// Decodes the last token of every unfinished rollout, one batch per position, until all are finished.
    private func extend(_ rows: inout [Row], request: RolloutRequest, signal: AbortSignal) throws {
        var live = rows.indices.filter { !rows[$0].isDone }
        while !live.isEmpty {
            let entries = live.compactMap { index -> LlamaContext.Entry? in
                guard let sequence = rows[index].sequence, let token = rows[index].rollout.tokens.last else {
                    return nil  // an unfinished rollout has both
                }
                return LlamaContext.Entry(
                    token: token, position: rows[index].position, sequence: sequence, wantsLogits: true)
            }
            try decode(entries, signal: signal) { entry, row in
                try append(to: &rows[live[entry]], row: row, request: request)
            }
            live.removeAll { rows[$0].isDone }
        }
    }

    private func append(to row: inout Row, row logits: LogitRow, request: RolloutRequest) throws {
        let uniform = row.noise.derived(row.rollout.tokens.count)
        let normaliser = logits.logSumExp
        guard normaliser.isFinite, let token = request.sampling.choose(from: logits, uniform: uniform.uniform) else {
            throw LlamaError.logitsNotNumeric
        }
        row.rollout.tokens.append(token)
        row.rollout.logProbability += Double(logits.logits[Int(token)]) - normaliser
        row.position += 1
        if vocabulary.isEnd(token) { row.rollout.finishReason = .stop }
        row.isDone = row.rollout.finishReason == .stop || row.rollout.tokens.count >= request.maximumLength
    }

    // MARK: Continuations of others

    /// Decodes continuations on forks of the trunk, each prefix once, and sums the log-probabilities of their tokens.
    private func read(_ continuations: [Continuation], signal: AbortSignal) throws -> [Double] {
        let start = trunkTokens.count
        branches = []
        var sums = [Double](repeating: 0, count: continuations.count)
        let wanted = continuations.indices.filter { !continuations[$0].tokens.isEmpty }
        let groups = Dictionary(grouping: wanted) { continuations[$0].prefix }

        // What the first token of each continuation is worth, from the logits after its prefix.
        func addFirst(_ group: [Int], _ row: LogitRow) throws {
            for index in group { sums[index] += try logProbability(of: continuations[index].tokens[0], in: row) }
        }
        var entries: [LlamaContext.Entry] = []
        var owners: [[Token]] = []
        var sources: [[Token]: SequenceLease] = [[]: trunk]
        for prefix in groups.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) where !prefix.isEmpty {
            let sequence = try context.fork(trunk, length: start)
            sources[prefix] = sequence
            for (offset, token) in prefix.enumerated() {
                owners.append(prefix)
                entries.append(
                    LlamaContext.Entry(
                        token: token, position: start + offset, sequence: sequence,
                        wantsLogits: offset == prefix.count - 1))
            }
        }
        if let group = groups[[]] { try withTrunkRow { try addFirst(group, $0) } }
        var newBranches: [Branch] = []
        try decode(entries, signal: signal) { entry, row in
            let prefix = owners[entry]
            try addFirst(groups[prefix] ?? [], row)
            if prefix.count == 1, let sequence = sources[prefix] {
                newBranches.append(Branch(token: prefix[0], sequence: sequence, logits: Array(row.logits)))
            }
        }

        // The rest of the tokens, on a fork for each continuation.
        entries = []
        var nexts: [(index: Int, token: Token)] = []
        for index in wanted {
            let (prefix, tokens) = (continuations[index].prefix, continuations[index].tokens)
            guard tokens.count > 1, let source = sources[prefix] else { continue }
            let length = start + prefix.count
            let sequence = try context.fork(source, length: length)
            for offset in 0..<(tokens.count - 1) {
                nexts.append((index, tokens[offset + 1]))
                entries.append(
                    LlamaContext.Entry(
                        token: tokens[offset], position: length + offset, sequence: sequence, wantsLogits: true))
            }
        }
        try decode(entries, signal: signal) { entry, row in
            sums[nexts[entry].index] += try logProbability(of: nexts[entry].token, in: row)
        }
        branches = newBranches
        return sums
    }

    private func logProbability(of token: Token, in row: LogitRow) throws -> Double {
        guard token >= 0, token < vocabulary.size else {
            throw LlamaError.invalidToken(token: token, vocabulary: vocabulary.size)
        }
        let normaliser = row.logSumExp
        guard normaliser.isFinite else { throw LlamaError.logitsNotNumeric }
        return Double(row.logits[Int(token)]) - normaliser
    }

    // MARK: Plumbing

    private var limit: Int { promptLength + maximumResponseLength }

    private func decode(
        _ entries: [LlamaContext.Entry], signal: AbortSignal, receive: (Int, LogitRow) throws -> Void
    ) throws {
        guard !entries.isEmpty else { return }
        decodedTokens += entries.count
        try context.decode(entries, signal: signal, receive: receive)
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
