import TransferQ

extension LlamaPolicy {
    /// A token that some continuations share, with all that stands before it.
    private struct Node {
        let token: Token
        /// Tokens between it and the trunk.
        let depth: Int
        var continuations: [Int]
        var children: [Token: Int] = [:]
    }

    /// Reads continuations of the trunk, which holds the response, every shared beginning once; in several waves when
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
            let wave = rest.prefix(max(1, min(room.sequences, share))).prefix { index in
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
        let paths = continuations.map { $0.prefix + $0.tokens }
        var sums = [Double](repeating: 0, count: paths.count)
        var pools = [StatePool?](repeating: wantsStates ? trunkPool() : nil, count: paths.count)

        // What the token at `depth` of each continuation is worth, from the logits before it.
        func add(_ depth: Int, of members: [Int], _ row: LogitRow) throws {
            let readers = members.filter { depth >= continuations[$0].prefix.count && depth < paths[$0].count }
            guard !readers.isEmpty else { return }
            let normaliser = row.logSumExp
            guard normaliser.isFinite else { throw LlamaError.logitsNotNumeric }
            for index in readers { sums[index] += Double(row.logits[Int(paths[index][depth])]) - normaliser }
        }
        try withTrunkRow { try add(0, of: Array(paths.indices), $0) }

        var nodes: [Node] = []
        var roots: [Token: Int] = [:]
        for (index, path) in paths.enumerated() {
            var parent: Int?
            for depth in 0..<lengths[index] {
                let token = path[depth]
                if let known = parent.map({ nodes[$0].children[token] }) ?? roots[token] {
                    nodes[known].continuations.append(index)
                    parent = known
                    continue
                }
                nodes.append(Node(token: token, depth: depth, continuations: [index]))
                if let parent {
                    nodes[parent].children[token] = nodes.count - 1
                } else {
                    roots[token] = nodes.count - 1
                }
                parent = nodes.count - 1
            }
        }
        let sequences = try lengths.map { $0 > 0 ? try context.cache.fork(trunk, length: start) : nil }
        let entries = nodes.map { node in
            LlamaContext.Entry(
                token: node.token, position: start + node.depth,
                sequences: node.continuations.compactMap { sequences[$0] }, isOutput: true)
        }
        var newBranches: [Branch] = []
        try await decode(entries, results: .logits(andStates: keepsStates), signal: signal) { entry, output in
            let node = nodes[entry]
            if let state = output.state { for index in node.continuations { pools[index]?.add(state) } }
            try add(node.depth + 1, of: node.continuations, output.logits)
            // A candidate: kept for the case that the response goes on with it.
            if node.depth == 0, let owner = node.continuations.first, continuations[owner].prefix.count == 1,
                let sequence = sequences[owner]
            {
                newBranches.append(
                    Branch(
                        tokens: committed + [node.token], sequence: sequence,
                        known: (
                            length: start + 1, logits: Array(output.logits.logits),
                            state: output.state.map(Array.init) ?? []
                        )))
            }
        }
        for branch in newBranches { try context.cache.trim(branch.sequence, from: start + 1) }
        branches = branches.filter { old in !newBranches.contains { $0.tokens == old.tokens } } + newBranches
        return paths.indices.map { index in
            Reading(
                logProbability: sums[index],
                state: stateSource.flatMap { source in pools[index].map { $0.pooled(source) } })
        }
    }
}
