import TransferQ

/// The work of one context: what waits for its next batch, which of it shares one, and who hears what came of it.
///
/// Work is waited for, or announced. One batch holds the oldest work that somebody waits for and what there is room for beside
/// it: of answers in ``AnswerRounds``, what follows from their work; of other tasks, what has come when the thread is free.
/// What is announced goes along where it fits, until its owner waits for it or withdraws it.
final class DecodeQueue: @unchecked Sendable {  // used on `thread` alone, which waiting and announcing check
    private struct Waiter {
        let work: DecodeWork
        let signal: AbortSignal
        let resume: @Sendable () -> Void

        /// Tokens that it brings into a batch; announced ones are in the batch by themselves.
        var size: Int { work.isAnnounced ? 0 : work.entries.count }
    }

    private struct Announced {
        /// Nil when its owner has gone.
        weak var work: DecodeWork?
    }

    /// What goes into one call of llama.cpp, in this order.
    private struct Batch {
        var waiters: ArraySlice<Waiter>
        var announced: [DecodeWork]
        /// What any of them wants. What only some want is computed for all; for a few tokens that is cheaper than another
        /// batch.
        var results: DecodeWork.Results
        var count: Int

        var works: [DecodeWork] { waiters.map(\.work).filter { !$0.isAnnounced } + announced }
    }

    /// Most tokens of a batch that several share. From 64 on, llama.cpp's attention works in tiles that span the cells of
    /// all of them.
    private static let sharedBatchSize = 56

    /// Most tokens that are worth announcing: they cost little beside others' work.
    static let mostAnnouncedTokens = 16

    private let model: LlamaModel
    private let backend: any ContextBackend
    private let cache: CellCache
    private let thread: InferenceThread
    /// Threads of a call; nil leaves it to the backend.
    private let threads: Int?
    /// Most tokens of a batch.
    private let batchSize: Int
    /// Oldest first.
    private var waiters: [Waiter] = []
    private var announced: [Announced] = []
    /// Whether a batch is to be decoded when the thread is free.
    private var isScheduled = false
    /// Who was woken and has not gone on yet: what they ask for next belongs into the next batch.
    private var woken = 0
    /// Who decides when a batch is formed, and of what; nil where whoever waits shares the next one.
    weak var rounds: AnswerRounds?
    /// What every call of llama.cpp held, row by row, since it was set to an empty list.
    var journal: [[LlamaContext.BatchRow]]?
    /// Batches decoded, and tokens in them.
    private(set) var decodedBatches = 0
    private(set) var decodedTokens = 0

    /// - Parameters:
    ///   - model: whose tokens the backend decodes.
    ///   - lane: where it computes.
    init(model: LlamaModel, backend: any ContextBackend, cache: CellCache, batchSize: Int, lane: InferenceLane) {
        self.model = model
        self.backend = backend
        self.cache = cache
        self.batchSize = batchSize
        thread = lane.thread
        threads = lane.threads
    }

    // MARK: Work

    /// Decodes entries, in several batches when they are many.
    ///
    /// - Parameter receive: as for ``DecodeWork``.
    /// - Throws: ``LlamaError``, or `CancellationError` when the signal is raised. The sequences may then hold any part of the
    ///   entries.
    nonisolated(nonsending) func decode(
        _ entries: [DecodeWork.Entry], results: DecodeWork.Results = .logits, signal: AbortSignal,
        receive: @escaping (Int, DecodeWork.Output) throws -> Void
    ) async throws {
        // With states all tokens have outputs, for which llama.cpp keeps room; and attention goes over the cells of the whole
        // batch, so that wider ones are no faster.
        let size = results.contains(.states) ? min(batchSize, 128) : batchSize
        for start in stride(from: 0, to: entries.count, by: size) {
            let part = entries[start..<min(start + size, entries.count)]
            let work = DecodeWork(part, results: results, receive: receive)
            await wait(for: work, signal: signal)
            try work.outcome?.get()
        }
    }

    /// Lets work go along with the next batch that has room for it, without waiting for it; a few tokens, which cost little
    /// there. It waits as long as somebody keeps it.
    func announce(_ work: DecodeWork) {
        thread.checkIsolated()
        work.markAnnounced()
        announced.append(Announced(work: work))
    }

    /// Takes back what is announced and was in no batch yet.
    func withdraw(_ work: DecodeWork) { announced.removeAll { $0.work === work } }

    /// Waits until work was in a batch. Announced work that the next one has no room for is withdrawn, without an outcome.
    ///
    /// - Parameter signal: raised when nobody waits any more.
    nonisolated(nonsending) func wait(for work: DecodeWork, signal: AbortSignal) async {
        thread.checkIsolated()
        let member = AnswerRounds.current.flatMap { $0.rounds === rounds ? $0 : nil }
        await withCheckedContinuation { continuation in
            let waiter = Waiter(work: work, signal: signal) {
                guard let member else { return continuation.resume() }
                member.rounds.assumeIsolated { $0.ready(member) { continuation.resume() } }
            }
            waiters.append(waiter)
            if let member {
                member.rounds.assumeIsolated { $0.wait(member) }
            } else {
                schedule()
            }
        }
        woken -= 1
        if work.outcome == nil { withdraw(work) }
        schedule()
    }

    // MARK: Batches

    /// Whether anybody waits for a batch.
    var isWaitedFor: Bool { !waiters.isEmpty }

    /// Decodes a batch when the thread is free, for the rounds, which are told when it is done.
    func decodeWhenIdle() { thread.whenIdle { self.decodeNext() } }

    /// Decodes what waits when the thread is free, the oldest first, unless rounds see to it.
    private func schedule() {
        guard !isScheduled, woken == 0, isWaitedFor, rounds?.assumeIsolated({ $0.isOver }) ?? true else { return }
        isScheduled = true
        thread.whenIdle {
            self.isScheduled = false
            self.decodeNext()
        }
    }

    private func decodeNext() {
        guard var batch = nextBatch(room: cells - cache.used) else { return }
        // Each fits by itself, as its owner has seen to.
        if !cache.makesRoom(for: batch.count) { batch = putBack(batch) }
        let result = Result { try compute(batch) }
        hand(result, to: batch)
        // Otherwise who is woken last sees to the next one.
        if let rounds, !rounds.assumeIsolated({ $0.isOver }) { rounds.assumeIsolated { $0.finishBatch() } }
    }

    private var cells: Int { cache.cells }

    /// The oldest that waits, and what there is room for beside it: announced work, then others that wait.
    ///
    /// - Parameter room: cells that are free; no announced work shall take one that others need.
    private func nextBatch(room: Int) -> Batch? {
        guard let first = waiters.first else { return nil }
        var (results, count) = (first.work.isAnnounced ? [] : first.work.results, first.size)
        func joins(_ wanted: DecodeWork.Results, size: Int, within limit: Int = Self.sharedBatchSize) -> Bool {
            guard count + size <= limit || count == 0 else { return false }
            (results, count) = (results.union(wanted), count + size)
            return true
        }
        announced.removeAll { $0.work == nil }
        let along = announced.compactMap(\.work).prefix {
            joins($0.results, size: $0.entries.count, within: min(room, Self.sharedBatchSize))
        }
        let together =
            waiters.prefix(1)
            + waiters.dropFirst().prefix { joins($0.work.isAnnounced ? [] : $0.work.results, size: $0.size) }
        announced.removeFirst(along.count)
        waiters.removeFirst(together.count)
        return Batch(waiters: together, announced: Array(along), results: results, count: count)
    }

    /// Takes back all of a batch but what the oldest waits for, where there is no room for more.
    private func putBack(_ batch: Batch) -> Batch {
        guard let first = batch.waiters.first else { return batch }
        waiters = batch.waiters.dropFirst() + waiters
        announced = batch.announced.map { Announced(work: $0) } + announced
        return Batch(
            waiters: batch.waiters.prefix(1), announced: [], results: first.work.isAnnounced ? [] : first.work.results,
            count: first.size)
    }

    /// Lays a batch out for llama.cpp, takes the cells that it needs, and computes it.
    private func compute(_ batch: Batch) throws {
        let entries = batch.works.flatMap(\.entries)
        for (row, entry) in entries.enumerated() {
            guard entry.token >= 0, entry.token < model.tokenizer.size else {
                throw LlamaError.invalidToken(token: entry.token, vocabulary: model.tokenizer.size)
            }
            backend.set(
                row,
                to: BackendRow(
                    token: entry.token, position: Int32(entry.position), sequences: entry.sequences.map(\.id),
                    isOutput: entry.isOutput || batch.results.contains(.states)))
        }
        try cache.add(entries)
        journal?.append(entries.map { LlamaContext.BatchRow(token: $0.token, position: $0.position) })
        if batch.count > 0 { decodedBatches += 1 }
        decodedTokens += batch.count
        backend.setWantsStates(batch.results.contains(.states))
        backend.graphSwitch.stopsAtStates = batch.results == .states
        backend.graphSwitch.listen(to: batch.waiters.map(\.signal))
        let outcome = backend.decode(Int32(batch.count), threads: threads)
        backend.graphSwitch.listen(to: [])
        switch outcome.code {
        case 0: return
        case 1: throw LlamaError.contextFull(needed: cache.used, cells: cells)
        case 2: throw CancellationError()
        case let code: throw LlamaError.decodeFailed(code: code, reason: outcome.complaint)
        }
    }

    /// Hands out what a batch came to, and wakes those that wait for it.
    private func hand(_ result: Result<Void, any Error>, to batch: Batch) {
        var row = 0
        func finish(_ work: DecodeWork, _ result: Result<Void, any Error>) {
            work.finish(result) { index in
                try output(at: Int32(row + index - work.entries.startIndex), work.results)
            }
            row += work.entries.count
        }
        for waiter in batch.waiters where !waiter.work.isAnnounced {
            let isCancelled = waiter.signal.isRaised
            finish(waiter.work, result.flatMap { isCancelled ? .failure(CancellationError()) : .success(()) })
        }
        for work in batch.announced { finish(work, result) }
        woken += batch.waiters.count
        for waiter in batch.waiters { waiter.resume() }
    }

    private func output(at row: Int32, _ results: DecodeWork.Results) throws -> DecodeWork.Output {
        var logits = UnsafeBufferPointer<Float>(start: nil, count: 0)
        if results.contains(.logits) {
            guard let values = backend.logits(at: row) else { throw LlamaError.logitsNotNumeric }
            logits = UnsafeBufferPointer(start: values, count: model.tokenizer.size)
        }
        var state: UnsafeBufferPointer<Float>?
        if results.contains(.states) {
            guard let values = backend.state(at: row) else { throw LlamaError.noStates(model: model.path) }
            state = UnsafeBufferPointer(start: values, count: model.width)
        }
        return DecodeWork.Output(logits: LogitRow(logits), state: state)
    }
}
