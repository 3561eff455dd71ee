import TransferQ

extension LlamaPolicy {
    /// Rolls out from the prefix sequence, which holds the response: what all starts begin with in one batch, equal
    /// beginnings once, then one batch per position; in several waves when there are more than the context holds.
    func rollOut(_ request: RolloutRequest, signal: AbortSignal) async throws -> [[Rollout]] {
        let ended = request.starts.map { start in
            start.prefix.last.map(tokenizer.isEnd) ?? false
                || request.constraint?.ends((request.response + start.prefix)[...]) ?? false
        }
        let needed = request.starts.map { $0.prefix.count + $0.maximumLength }.max() ?? 0
        guard prefix.start + needed <= limit else {
            throw LlamaError.contextFull(needed: prefix.start + needed, cells: limit)
        }
        var results = request.starts.enumerated().map { index, start in
            // A start that asks for nothing, or whose response is over.
            let isOpen = start.maximumLength > 0 && !ended[index]
            let rollout = Rollout(finishReason: ended[index] ? .stop : .length)
            return isOpen ? [] : start.numbers.map { _ in rollout }
        }
        var jobs = request.starts.enumerated().filter { results[$0.offset].isEmpty }.map {
            RolloutWave.Job(start: $0.element, index: $0.offset, numbers: $0.element.numbers)
        }[...]
        while !jobs.isEmpty {
            let wave = RolloutWave(
                jobs: nextWave(of: &jobs), request: request, tokenizer: tokenizer, start: prefix.start)
            for (job, rollouts) in zip(wave.jobs, try await rollOut(wave, signal: signal)) {
                results[job.index] += rollouts
            }
        }
        return results
    }

    /// As many rollouts as there is room for, at least one; the rest stays.
    private func nextWave(of jobs: inout ArraySlice<RolloutWave.Job>) -> [RolloutWave.Job] {
        func cells(_ job: RolloutWave.Job) -> Int { job.text.count + job.numbers.count * (job.start.maximumLength + 1) }
        let room = context.cache.room(
            sequences: jobs.reduce(0) { $0 + $1.numbers.count }, cells: jobs.reduce(0) { $0 + cells($1) })
        var (sequences, left) = (min(room.sequences, rolloutLimit), room.cells)
        var wave: [RolloutWave.Job] = []
        while let job = jobs.first, sequences > 0 || wave.isEmpty {
            let affordable = max(0, left - job.text.count) / (job.start.maximumLength + 1)
            let count = min(job.numbers.count, max(sequences, 1), wave.isEmpty ? max(affordable, 1) : affordable)
            guard count > 0 else { break }
            let numbers = job.numbers.prefix(count)
            let part = RolloutWave.Job(
                start: job.start, index: job.index, numbers: numbers.startIndex..<numbers.endIndex)
            wave.append(part)
            sequences -= count
            left -= cells(part)
            jobs.removeFirst()
            if count < job.numbers.count {
                jobs.insert(
                    RolloutWave.Job(
                        start: job.start, index: job.index, numbers: numbers.endIndex..<job.numbers.upperBound),
                    at: jobs.startIndex)
                break
            }
        }
        return wave
    }

    private func rollOut(_ wave: RolloutWave, signal: AbortSignal) async throws -> [[Rollout]] {
        let rows: [RolloutWave.Row]
        do {
            rows = try await extend(try await begin(wave, signal: signal), of: wave, signal: signal)
        } catch {
            // What was decoded of them is not to be trusted.
            branches.all = []
            throw error
        }
        keepBranches(rows, of: wave)
        var results = wave.jobs.map { _ in [Rollout]() }
        for row in rows {
            var rollout = row.rollout
            if wave.request.wantsStates, let source = stateSource { rollout.state = row.pool?.pooled(source) }
            results[row.job].append(rollout)
        }
        return results
    }

    /// Decodes what the rollouts begin with, each shared beginning once and nothing that a branch still holds, and chooses
    /// the first token of every rollout.
    private func begin(_ wave: RolloutWave, signal: AbortSignal) async throws -> [RolloutWave.Row] {
        let (jobs, request, start) = (wave.jobs, wave.request, wave.start)
        let pool = request.wantsStates ? prefix.pool() : nil
        let texts = jobs.map(\.text)
        var sequences: [SequenceLease?] = []
        var depths: [Int] = []
        for text in texts {
            let (source, depth) = closest(to: text, states: request.wantsStates)
            depths.append(depth)
            sequences.append(text.isEmpty ? nil : try context.cache.fork(source, length: start + depth))
        }
        // Only now: the forks hold what they need.
        branches.all = []
        let nodes = PrefixTree.union(of: texts, behind: depths)
        let entries = nodes.map { node in
            DecodeWork.Entry(
                token: node.token, position: start + node.depth - 1, sequences: node.value.compactMap { sequences[$0] },
                isOutput: request.wantsStates || node.value.contains { texts[$0].count == node.depth })
        }
        var pools = [StatePool?](repeating: pool, count: jobs.count)
        var rows: [[RolloutWave.Row]] = jobs.map { _ in [] }
        for job in jobs.indices where texts[job].isEmpty {
            rows[job] = try prefix.withRow(at: start) { try wave.begin(job, pool: pool, $0) }
        }
        try await decode(entries, results: .logits(andStates: prefix.keepsStates), signal: signal) {
            [prefix, branches] entry, output in
            let node = nodes[entry]
            for job in node.value {
                if let state = output.state { pools[job]?.add(state) }
                guard texts[job].count == node.depth else { continue }
                rows[job] = try wave.begin(job, pool: pools[job], output.logits)
                rows[job][0].sequence = sequences[job]
                // What a chosen candidate leads to.
                if let sequence = sequences[job] {
                    branches.all.append(
                        BranchList.Branch(
                            tokens: prefix.committed + texts[job], sequence: sequence,
                            known: (
                                length: start + node.depth, logits: Array(output.logits.logits),
                                state: output.state.map(Array.init) ?? []
                            )))
                }
            }
        }
        // Only now is every beginning decoded, so that the other rollouts can fork it.
        for job in rows.indices {
            let source = rows[job].first?.sequence ?? prefix.lease
            for index in rows[job].indices where rows[job][index].sequence == nil {
                let row = rows[job][index]
                guard !row.isDone || row.lacksState else { continue }
                rows[job][index].sequence = try context.cache.fork(source, length: start + texts[job].count)
            }
        }
        return Array(rows.joined())
    }

    /// The sequence that holds most of a text behind the response, all but its last token at most, and how much.
    private func closest(to text: [Token], states: Bool) -> (SequenceLease, Int) {
        // States of what is not decoded would be missing.
        guard !states else { return (prefix.lease, 0) }
        let start = prefix.start
        var best = (prefix.lease, prefix.tokens.dropFirst(start).commonPrefixLength(with: text))
        for branch in branches.all {
            let length = branch.tokens.dropFirst(start).commonPrefixLength(with: text)
            if length > best.1 { best = (branch.sequence, length) }
        }
        return (best.0, min(best.1, max(0, text.count - 1)))
    }

    /// Decodes the last token of every unfinished rollout, one batch per position, until all are finished.
    private func extend(_ begun: [RolloutWave.Row], of wave: RolloutWave, signal: AbortSignal) async throws
        -> [RolloutWave.Row]
    {
        var rows = begun
        var live = rows.indices.filter { !rows[$0].isDone || rows[$0].lacksState }
        while !live.isEmpty {
            let entries = live.compactMap { index -> DecodeWork.Entry? in
                guard let sequence = rows[index].sequence, let token = rows[index].rollout.tokens.last else {
                    return nil  // an unfinished rollout has both
                }
                return DecodeWork.Entry(
                    token: token, position: rows[index].position, sequence: sequence, isOutput: true)
            }
            let batch = live
            try await decode(entries, results: .logits(andStates: wave.request.wantsStates), signal: signal) {
                entry, output in
                let index = batch[entry]
                if let state = output.state { rows[index].pool?.add(state) }
                if rows[index].isDone {
                    rows[index].lacksState = false
                } else {
                    try wave.append(to: &rows[index], output.logits)
                }
            }
            live.removeAll { rows[$0].isDone && !rows[$0].lacksState }
        }
        return rows
    }

    /// Greedy rollouts stay decoded: the chosen one goes on. Of sampled ones the beginnings stay.
    private func keepBranches(_ rows: [RolloutWave.Row], of wave: RolloutWave) {
        guard wave.request.sampling.isGreedy else {
            // The rollouts' own tokens go with the sequences; what is kept ends with the text.
            for branch in branches.all { context.cache.trim(branch.sequence, from: branch.tokens.count) }
            return
        }
        let texts = Dictionary(
            rows.compactMap { row in
                row.sequence.map { sequence in
                    (sequence.id, Array(prefix.committed + wave.jobs[row.job].start.prefix + row.rollout.tokens))
                }
            }, uniquingKeysWith: { first, _ in first })
        branches.all = branches.all.map { branch in
            let text = texts[branch.sequence.id] ?? branch.tokens
            return BranchList.Branch(
                tokens: Array(text.prefix(context.cache.length(of: branch.sequence))), sequence: branch.sequence,
                known: branch.known)
        }
    }
}
