import TransferQ

extension LlamaPolicy {
    /// One rollout in the making.
    private struct Row {
        let noise: Noise
        var rollout = Rollout(tokens: [], logProbability: 0, finishReason: .length)
        /// Nil until a token is to be decoded.
        var sequence: SequenceLease?
        /// Where the rollout's last token belongs.
        var position: Int
        /// Nil when states are not wanted.
        var pool: StatePool?
        var isDone = false
        /// Whether the last token is yet to be decoded for its state alone.
        var lacksState = false
    }

    /// Rolls out from the trunk, which holds the response: all prefixes in one batch, then one batch per position.
    func rollOut(_ request: RolloutRequest, signal: AbortSignal) throws -> [[Rollout]] {
        let ended = request.prefixes.map { $0.last.map(vocabulary.isEnd) ?? false }
        let start = trunkTokens.count
        guard start + (request.prefixes.map(\.count).max() ?? 0) + request.maximumLength <= limit else {
            throw LlamaError.contextFull(
                needed: start + request.maximumLength + 1, cells: limit)
        }
        guard request.maximumLength > 0, request.count > 0 else {
            return zip(request.prefixes, ended).map { _, isEnded in
                let rollout = Rollout(tokens: [], logProbability: 0, finishReason: isEnded ? .stop : .length)
                return [Rollout](repeating: rollout, count: request.count)
            }
        }
        let (rows, newBranches) = try begin(request, ended: ended, signal: signal)
        let width = rows.map(\.count)
        var flat = Array(rows.joined())
        try extend(&flat, request: request, signal: signal)

        // The branches keep their one token; the rest of the rollouts goes.
        for branch in newBranches { try context.trim(branch.sequence, from: start + 1) }
        branches = newBranches

        var rest = flat.map { row in
            var rollout = row.rollout
            if request.wantsStates, let source = stateSource { rollout.state = row.pool?.pooled(source) }
            return rollout
        }[...]
        return zip(width, ended).map { width, isEnded in
            if isEnded {
                let rollout = Rollout(tokens: [], logProbability: 0, finishReason: .stop)
                return [Rollout](repeating: rollout, count: request.count)
            }
            defer { rest = rest.dropFirst(width) }
            return Array(rest.prefix(width))
        }
    }

    /// Decodes the prefixes and chooses the first token of every rollout.
    private func begin(
        _ request: RolloutRequest, ended: [Bool], signal: AbortSignal
    ) throws -> (rows: [[Row]], branches: [Branch]) {
        let start = trunkTokens.count
        let trunkPool = request.wantsStates ? trunkPool() : nil
        // The branches replace those of an earlier request.
        branches = []
        var rows: [[Row]] = request.prefixes.map { _ in [] }
        var entries: [LlamaContext.Entry] = []
        var owners: [(prefix: Int, offset: Int, sequence: SequenceLease)] = []
        for (index, prefix) in request.prefixes.enumerated() where !ended[index] {
            if prefix.isEmpty {
                rows[index] = try withTrunkRow { try begin(request, prefix: prefix, pool: trunkPool, row: $0) }
                continue
            }
            let sequence = try context.fork(trunk, length: start)
            for (offset, token) in prefix.enumerated() {
                owners.append((index, offset, sequence))
                entries.append(
                    LlamaContext.Entry(
                        token: token, position: start + offset, sequence: sequence,
                        isOutput: request.wantsStates || offset == prefix.count - 1))
            }
        }
        var newBranches: [Branch] = []
        var pools = [StatePool?](repeating: trunkPool, count: request.prefixes.count)
        try decode(entries, wantsStates: keepsStates, signal: signal) { entry, output in
            let (index, offset, sequence) = owners[entry]
            let prefix = request.prefixes[index]
            if let state = output.state { pools[index]?.add(state) }
            guard offset == prefix.count - 1 else { return }
            rows[index] = try begin(request, prefix: prefix, pool: pools[index], row: output.logits)
            rows[index][0].sequence = sequence
            if prefix.count == 1 {
                newBranches.append(Branch(token: prefix[0], sequence: sequence, output: output))
            }
        }
        // Only now is every prefix decoded, so that the other rollouts can fork it.
        for index in rows.indices {
            let source = rows[index].first?.sequence ?? trunk
            let length = start + request.prefixes[index].count
            for rollout in rows[index].indices where rows[index][rollout].sequence == nil {
                let row = rows[index][rollout]
                guard !row.isDone || row.lacksState else { continue }
                rows[index][rollout].sequence = try context.fork(source, length: length)
            }
        }
        return (rows, newBranches)
    }

    /// The first token of each rollout of a prefix, from the logits after the prefix.
    private func begin(
        _ request: RolloutRequest, prefix: [Token], pool: StatePool?, row: LogitRow
    ) throws -> [Row] {
        try (0..<request.count).map { index in
            var new = Row(
                noise: request.noise(prefix: prefix, rollout: index),
                position: trunkTokens.count + prefix.count - 1, pool: pool)
            try append(to: &new, row: row, request: request)
            return new
        }
    }

    /// Decodes the last token of every unfinished rollout, one batch per position, until all are finished.
    private func extend(_ rows: inout [Row], request: RolloutRequest, signal: AbortSignal) throws {
        var live = rows.indices.filter { !rows[$0].isDone || rows[$0].lacksState }
        while !live.isEmpty {
            let entries = live.compactMap { index -> LlamaContext.Entry? in
                guard let sequence = rows[index].sequence, let token = rows[index].rollout.tokens.last else {
                    return nil  // an unfinished rollout has both
                }
                return LlamaContext.Entry(
                    token: token, position: rows[index].position, sequence: sequence, isOutput: true)
            }
            try decode(entries, wantsStates: request.wantsStates, signal: signal) { entry, output in
                let index = live[entry]
                if let state = output.state { rows[index].pool?.add(state) }
                if rows[index].isDone {
                    rows[index].lacksState = false
                } else {
                    try append(to: &rows[index], row: output.logits, request: request)
                }
            }
            live.removeAll { rows[$0].isDone && !rows[$0].lacksState }
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
        row.lacksState = row.isDone && row.rollout.finishReason != .stop && request.wantsStates
    }
}
