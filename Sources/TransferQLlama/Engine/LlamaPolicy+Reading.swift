import TransferQ

extension LlamaPolicy {
    /// Reads continuations of the prefix sequence, which holds the response, every shared beginning once; in several waves when
    /// there are more than the context holds.
    ///
    /// - Parameter lengths: tokens to decode of each.
    func read(
        _ continuations: [Continuation], lengths: [Int], wantsStates: Bool, signal: AbortSignal
    ) async throws -> [Reading] {
        for token in continuations.flatMap({ $0.prefix + $0.tokens }) where token < 0 || token >= tokenizer.size {
            throw LlamaError.invalidToken(token: token, vocabulary: tokenizer.size)
        }
        var readings: [Reading] = []
        while readings.count < continuations.count {
            let rest = readings.count..<continuations.count
            let room = context.cache.room(sequences: rest.count, cells: lengths[rest].reduce(0, +))
            var cells = 0
            let wave = rest.prefix(max(1, min(room.sequences, rolloutLimit))).prefix { index in
                cells += lengths[index]
                return cells <= room.cells || index == rest.lowerBound
            }
            readings += try await readWave(
                Array(continuations[wave]), lengths: Array(lengths[wave]), wantsStates: wantsStates, signal: signal)
        }
        return readings
    }

    private func readWave(
        _ continuations: [Continuation], lengths: [Int], wantsStates: Bool, signal: AbortSignal
    ) async throws -> [Reading] {
        let start = prefix.start
        let paths = continuations.map { $0.prefix + $0.tokens }
        var sums = [Double](repeating: 0, count: paths.count)
        var pools = [StatePool?](repeating: wantsStates ? prefix.pool() : nil, count: paths.count)

        // What the token at `depth` of each continuation is worth, from the logits before it.
        func add(_ depth: Int, of members: [Int], _ row: LogitRow) throws {
            let readers = members.filter { depth >= continuations[$0].prefix.count && depth < paths[$0].count }
            guard !readers.isEmpty else { return }
            let normaliser = row.logSumExp
            guard normaliser.isFinite else { throw LlamaError.logitsNotNumeric }
            for index in readers { sums[index] += Double(row.logits[Int(paths[index][depth])]) - normaliser }
        }
        try prefix.withRow(at: start) { try add(0, of: Array(paths.indices), $0) }

        let nodes = PrefixTree.union(
            of: zip(paths, lengths).map { $0.prefix($1) }, behind: lengths.map { _ in 0 })
        let sequences = try lengths.map { $0 > 0 ? try context.cache.fork(prefix.lease, length: start) : nil }
        let entries = nodes.map { node in
            DecodeWork.Entry(
                token: node.token, position: start + node.depth - 1,
                sequences: node.value.compactMap { sequences[$0] }, isOutput: true)
        }
        var newBranches: [BranchList.Branch] = []
        try await decode(entries, results: .logits(andStates: prefix.keepsStates), signal: signal) {
            [prefix] entry, output in
            let node = nodes[entry]
            if let state = output.state { for index in node.value { pools[index]?.add(state) } }
            try add(node.depth, of: node.value, output.logits)
            // A candidate: kept for the case that the response goes on with it.
            if node.depth == 1, let owner = node.value.first, continuations[owner].prefix.count == 1,
                let sequence = sequences[owner]
            {
                newBranches.append(
                    BranchList.Branch(
                        tokens: prefix.committed + [node.token], sequence: sequence,
                        known: (
                            length: start + 1, logits: Array(output.logits.logits),
                            state: output.state.map(Array.init) ?? []
                        )))
            }
        }
        for branch in newBranches { context.cache.trim(branch.sequence, from: start + 1) }
        branches.all = branches.all.filter { old in !newBranches.contains { $0.tokens == old.tokens } } + newBranches
        return paths.indices.map { index in
            Reading(
                logProbability: sums[index],
                state: stateSource.flatMap { source in pools[index].map { $0.pooled(source) } })
        }
    }
}
