import TransferQ

extension LlamaPolicy {
    /// Some rollouts of one start, made in one wave.
    private struct Job {
        let start: RolloutRequest.Start
        /// Where the start stands in the request.
        let index: Int
        let numbers: Range<Int>

        /// What is decoded before a token is chosen.
        var text: [Token] { start.prefix + start.beginning.tokens }
        /// Whether the prefix or what is known ends the response.
        var isEnded: Bool { start.beginning.finishReason == .stop }
    }

    /// One rollout in the making.
    private struct Row {
        let job: Int
        let noise: Noise
        var rollout: Rollout
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

    /// Rolls out from the trunk, which holds the response: what all starts begin with in one batch, equal beginnings once,
    /// then one batch per position; in several waves when there are more than the context holds.
    func rollOut(_ request: RolloutRequest, signal: AbortSignal) async throws -> [[Rollout]] {
        let ended = request.starts.map { start in
            start.prefix.last.map(tokenizer.isEnd) ?? false
                || request.constraint?.ends((request.response + start.prefix)[...]) ?? false
        }
        let needed = request.starts.map { $0.prefix.count + $0.maximumLength }.max() ?? 0
        guard start + needed <= limit else { throw LlamaError.contextFull(needed: start + needed, cells: limit) }
        var results = request.starts.enumerated().map { index, start in
            // A start that asks for nothing, or whose response is over.
            let isOpen = start.maximumLength > 0 && !ended[index]
            let rollout = Rollout(finishReason: ended[index] ? .stop : .length)
            return isOpen ? [] : start.numbers.map { _ in rollout }
        }
        var jobs = request.starts.enumerated().filter { results[$0.offset].isEmpty }.map {
            Job(start: $0.element, index: $0.offset, numbers: $0.element.numbers)
        }[...]
        while !jobs.isEmpty {
            let wave = nextWave(of: &jobs)
            for (job, rollouts) in zip(wave, try await rollOut(wave, of: request, signal: signal)) {
                results[job.index] += rollouts
            }
        }
        return results
    }

    /// As many rollouts as there is room for, at least one; the rest stays.
    private func nextWave(of jobs: inout ArraySlice<Job>) -> [Job] {
        func cells(_ job: Job) -> Int { job.text.count + job.numbers.count * (job.start.maximumLength + 1) }
        let room = context.cache.room(
            sequences: jobs.reduce(0) { $0 + $1.numbers.count }, cells: jobs.reduce(0) { $0 + cells($1) })
        var (sequences, left) = (min(room.sequences, share), room.cells)
        var wave: [Job] = []
        while let job = jobs.first, sequences > 0 || wave.isEmpty {
            let affordable = max(0, left - job.text.count) / (job.start.maximumLength + 1)
            let count = min(job.numbers.count, max(sequences, 1), wave.isEmpty ? max(affordable, 1) : affordable)
            guard count > 0 else { break }
            let numbers = job.numbers.prefix(count)
            let part = Job(start: job.start, index: job.index, numbers: numbers.startIndex..<numbers.endIndex)
            wave.append(part)
            sequences -= count
            left -= cells(part)
            jobs.removeFirst()
            if count < job.numbers.count {
                jobs.insert(
                    Job(start: job.start, index: job.index, numbers: numbers.endIndex..<job.numbers.upperBound),
                    at: jobs.startIndex)
                break
            }
        }
        return wave
    }

    private func rollOut(
        _ jobs: [Job], of request: RolloutRequest, signal: AbortSignal
    ) async throws -> [[Rollout]] {
        var rows: [Row]
        do {
            rows = try await plant(jobs, request, signal: signal)
            try await extend(&rows, jobs, request, signal: signal)
        } catch {
            // What was decoded of them is not to be trusted.
            branches = []
            throw error
        }
        keepBranches(rows, jobs, request)
        var results = jobs.map { _ in [Rollout]() }
        for row in rows {
            var rollout = row.rollout
            if request.wantsStates, let source = stateSource { rollout.state = row.pool?.pooled(source) }
            results[row.job].append(rollout)
        }
        return results
    }

    /// A token that some jobs share, with all that stands before it.
    private struct Node {
        let token: Token
        let depth: Int
        var jobs: [Int]
    }

    /// Decodes what the rollouts begin with, each shared beginning once and nothing that a branch still holds, and chooses
    /// the first token of every rollout.
    private func plant(_ jobs: [Job], _ request: RolloutRequest, signal: AbortSignal) async throws -> [Row] {
        let pool = request.wantsStates ? trunkPool() : nil
        let texts = jobs.map(\.text)
        var sequences: [SequenceLease?] = []
        var depths: [Int] = []
        for text in texts {
            let (source, depth) = closest(to: text, states: request.wantsStates)
            depths.append(depth)
            sequences.append(text.isEmpty ? nil : try context.cache.fork(source, length: start + depth))
        }
        // Only now: the forks hold what they need.
        branches = []
        var nodes: [Node] = []
        var places: [ArraySlice<Token>: Int] = [:]
        for (job, text) in texts.enumerated() where depths[job] < text.count {
            for depth in depths[job]..<text.count {
                if let known = places[text[...depth]] {
                    nodes[known].jobs.append(job)
                } else {
                    places[text[...depth]] = nodes.count
                    nodes.append(Node(token: text[depth], depth: depth, jobs: [job]))
                }
            }
        }
        let entries = nodes.map { node in
            LlamaContext.Entry(
                token: node.token, position: start + node.depth, sequences: node.jobs.compactMap { sequences[$0] },
                isOutput: request.wantsStates || node.jobs.contains { texts[$0].count == node.depth + 1 })
        }
        var pools = [StatePool?](repeating: pool, count: jobs.count)
        var rows: [[Row]] = jobs.map { _ in [] }
        for job in jobs.indices where texts[job].isEmpty {
            rows[job] = try withTrunkRow { try begin(job, jobs, pool: pool, $0, request) }
        }
        try await decode(entries, results: .logits(andStates: keepsStates), signal: signal) { entry, output in
            let node = nodes[entry]
            for job in node.jobs {
                if let state = output.state { pools[job]?.add(state) }
                guard texts[job].count == node.depth + 1 else { continue }
                rows[job] = try begin(job, jobs, pool: pools[job], output.logits, request)
                rows[job][0].sequence = sequences[job]
                // What a chosen candidate leads to.
                if let sequence = sequences[job] {
                    branches.append(
                        Branch(
                            tokens: committed + texts[job], sequence: sequence,
                            known: (
                                length: start + node.depth + 1, logits: Array(output.logits.logits),
                                state: output.state.map(Array.init) ?? []
                            )))
                }
            }
        }
        // Only now is every beginning decoded, so that the other rollouts can fork it.
        for job in rows.indices {
            let source = rows[job].first?.sequence ?? trunk
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
        guard !states else { return (trunk, 0) }
        var best = (trunk, trunkTokens.dropFirst(start).commonPrefixLength(with: text))
        for branch in branches {
            let length = branch.tokens.dropFirst(start).commonPrefixLength(with: text)
            if length > best.1 { best = (branch.sequence, length) }
        }
        return (best.0, min(best.1, max(0, text.count - 1)))
    }

    /// The rollouts of a job, from the logits after its text.
    private func begin(
        _ job: Int, _ jobs: [Job], pool: StatePool?, _ logits: LogitRow, _ request: RolloutRequest
    ) throws -> [Row] {
        try jobs[job].numbers.map { number in
            var row = Row(
                job: job, noise: jobs[job].start.noise(rollout: number), rollout: jobs[job].start.beginning,
                position: start + jobs[job].text.count - 1, pool: pool)
            row.isDone = jobs[job].isEnded || row.rollout.tokens.count >= jobs[job].start.maximumLength
            if !row.isDone { try append(to: &row, logits, jobs, request) }
            return row
        }
    }

    /// Decodes the last token of every unfinished rollout, one batch per position, until all are finished.
    private func extend(
        _ rows: inout [Row], _ jobs: [Job], _ request: RolloutRequest, signal: AbortSignal
    ) async throws {
        var live = rows.indices.filter { !rows[$0].isDone || rows[$0].lacksState }
        while !live.isEmpty {
            let entries = live.compactMap { index -> LlamaContext.Entry? in
                guard let sequence = rows[index].sequence, let token = rows[index].rollout.tokens.last else {
                    return nil  // an unfinished rollout has both
                }
                return LlamaContext.Entry(
                    token: token, position: rows[index].position, sequence: sequence, isOutput: true)
            }
            try await decode(entries, results: .logits(andStates: request.wantsStates), signal: signal) {
                entry, output in
                let index = live[entry]
                if let state = output.state { rows[index].pool?.add(state) }
                if rows[index].isDone {
                    rows[index].lacksState = false
                } else {
                    try append(to: &rows[index], output.logits, jobs, request)
                }
            }
            live.removeAll { rows[$0].isDone && !rows[$0].lacksState }
        }
    }

    private func append(to row: inout Row, _ logits: LogitRow, _ jobs: [Job], _ request: RolloutRequest) throws {
        let uniform = row.noise.derived(row.rollout.tokens.count)
        var text = request.constraint == nil ? [] : request.response + jobs[row.job].start.prefix + row.rollout.tokens
        let allowed = request.constraint?.tokens(after: text[...])
        guard let (top, normaliser) = logits.summary else { throw LlamaError.logitsNotNumeric }
        let notes = request.candidateCount > 0 && row.rollout.candidates.count == row.rollout.tokens.count
        let (choice, candidates) = logits.restricted(to: allowed) { logits in
            (
                request.sampling.isGreedy
                    ? allowed == nil ? top : logits.top?.token
                    : request.sampling.choose(from: logits, uniform: uniform.uniform),
                notes
                    ? logits.candidates(
                        count: min(request.candidateCount, allowed?.count ?? .max), normaliser: normaliser) : []
            )
        }
        guard let token = choice else { throw LlamaError.logitsNotNumeric }
        if notes { row.rollout.candidates.append(candidates) }
        row.rollout.tokens.append(token)
        row.rollout.logProbabilities.append(Double(logits.logits[Int(token)]) - normaliser)
        row.position += 1
        text.append(token)
        if tokenizer.isEnd(token) || request.constraint?.ends(text[...]) ?? false { row.rollout.finishReason = .stop }
        row.isDone =
            row.rollout.finishReason == .stop || row.rollout.tokens.count >= jobs[row.job].start.maximumLength
        row.lacksState = row.isDone && row.rollout.finishReason != .stop && request.wantsStates
    }

    /// Greedy rollouts stay decoded: the chosen one goes on. Of sampled ones the beginnings stay.
    private func keepBranches(_ rows: [Row], _ jobs: [Job], _ request: RolloutRequest) {
        guard request.sampling.isGreedy else {
            // The rollouts' own tokens go with the sequences; what is kept ends with the text.
            branches = branches.filter { context.cache.isTrimmed($0.sequence, to: $0.tokens.count) }
            return
        }
        let texts = Dictionary(
            rows.compactMap { row in
                row.sequence.map { sequence in
                    (sequence.id, Array(committed + jobs[row.job].start.prefix + row.rollout.tokens))
                }
            }, uniquingKeysWith: { first, _ in first })
        branches = branches.map { branch in
            let text = texts[branch.sequence.id] ?? branch.tokens
            return Branch(
                tokens: Array(text.prefix(context.cache.length(of: branch.sequence))), sequence: branch.sequence,
                known: branch.known)
        }
    }
}
