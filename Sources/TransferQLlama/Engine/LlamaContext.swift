import CLlama
import Foundation
import Synchronization
package import TransferQ

/// The KV cache and compute buffers of one model (optionally under one adapter), shared by many sequences.
///
/// Batches are computed on the ``InferenceLane`` that the context was made in. llama.cpp ends the process on misuse, so every
/// call is checked before it is made.
@InferenceActor
public final class LlamaContext {
    public struct Configuration: Sendable {
        /// Tokens that all sequences hold together, shared beginnings counted once.
        public var cells: Int
        /// Sequences alive at once.
        public var sequences: Int
        /// Threads; one for each processor when nil.
        public var threads: Int?
        public var attention: Attention

        public init(
            cells: Int = 4096, sequences: Int = 64, threads: Int? = nil, attention: Attention = .flash
        ) {
            self.cells = cells
            self.sequences = sequences
            self.threads = threads
            self.attention = attention
        }
    }

    /// How attention is computed.
    public enum Attention: Sendable {
        /// Token by token over its own sequence's cells, in 16 bits: for contexts that many answers share, and for single
        /// tokens.
        case flash
        /// As matrices over all cells in use, in the 16 bits of the weights: for the rollouts of one answer, whose cells
        /// are few (a tenth to a third faster on a processor). The same as `flash` where a graphics processor computes.
        case matrix
        /// As matrices in 32 bits. With a model of 32-bit weights, what a token comes to then hardly depends on the batch it
        /// is decoded in (1e-6 of a reward's spread, against 1e-3 otherwise).
        case precise
    }

    /// A row of a batch as ``journal`` keeps it.
    package struct BatchRow: Hashable, Sendable {
        package let token: Token
        package let position: Int
    }

    /// One row of a batch.
    struct Entry {
        let token: Token
        let position: Int
        /// Those that the token belongs to: more than one where they begin alike. The first owns the cell.
        let sequences: [SequenceLease]
        /// Whether what the token leads to is handed out.
        let isOutput: Bool
    }

    /// What is wanted of decoded tokens. Of states alone, the tokens' logits, a fifth of a small model's work, are not
    /// computed.
    struct Results: OptionSet {
        let rawValue: Int
        static let logits = Results(rawValue: 1)
        static let states = Results(rawValue: 2)

        static func logits(andStates: Bool) -> Results { andStates ? [.logits, .states] : .logits }
    }

    /// What a decoded token leads to; valid while it is handed out.
    struct Output {
        /// Empty when they were not asked for.
        let logits: LogitRow
        /// The final hidden state; nil when it was not asked for.
        let state: UnsafeBufferPointer<Float>?
    }

    public nonisolated let model: LlamaModel
    public nonisolated let adapter: LlamaAdapter?
    /// Most tokens that all sequences can hold together.
    public nonisolated let cells: Int
    /// Most tokens of one llama.cpp call.
    let batchSize: Int
    /// Its sequences, and the cells that they hold.
    let cache: CellCache
    private let backend: any ContextBackend
    /// Where it computes: the lane that it was made in, which it keeps unless somebody else does.
    private var lane: InferenceLane { keptLane ?? borrowedLane ?? .current }
    private let keptLane: InferenceLane?
    private weak var borrowedLane: InferenceLane?
    private var queue = DecodeQueue()
    /// Who decides when a batch is formed, and of what; nil where whoever waits shares the next one.
    weak var rounds: AnswerRounds?
    /// What the lane computes right now.
    private var underWay: DecodeQueue.Batch?
    /// Whether it was asked for a turn.
    private var isInLine = false
    /// Requests that have not yet read what the last batch came to; the next one would overwrite it.
    private var readers = 0
    /// What every call of llama.cpp held, row by row, since ``startJournal()``.
    package private(set) var journal: [[BatchRow]]?
    /// Batches decoded, and tokens in them.
    public private(set) var decodedBatches = 0
    public private(set) var decodedTokens = 0

    /// - Throws: ``LlamaError/tooManySequences(needed:limit:)`` or ``LlamaError/contextRefused(cells:reason:)``.
    public convenience init(
        model: LlamaModel, adapter: LlamaAdapter? = nil, configuration: Configuration = Configuration()
    ) throws {
        try self.init(model: model, adapter: adapter, configuration: configuration, keepsLane: true)
    }

    /// - Parameter keepsLane: false for a context that goes with its lane.
    /// - Throws: as ``init(model:adapter:configuration:)``.
    convenience init(
        model: LlamaModel, adapter: LlamaAdapter?, configuration: Configuration, keepsLane: Bool
    ) throws {
        guard configuration.sequences <= LlamaLibrary.maximumSequences else {
            throw LlamaError.tooManySequences(
                needed: configuration.sequences, limit: LlamaLibrary.maximumSequences)
        }
        guard configuration.cells >= 1, configuration.sequences >= 1, configuration.cells <= 1 << 24 else {
            throw LlamaError.contextRefused(cells: configuration.cells, reason: "the size is out of range")
        }
        let batchSize = max(512, configuration.sequences)
        let handle = try ContextHandle(model: model, configuration: configuration, batchSize: batchSize) { parameters in
            // Whatever the file is for, states are wanted token by token.
            parameters.pooling_type = LLAMA_POOLING_TYPE_NONE
            parameters.swa_full = true  // forks need every position of a sliding window
        }
        if let adapter {
            var adapters: [OpaquePointer?] = [adapter.pointer]
            var scales: [Float] = [1]
            guard llama_set_adapters_lora(handle.pointer, &adapters, 1, &scales) == 0 else {
                throw LlamaError.adapterRejected(
                    path: adapter.path, model: model.path, reason: "llama.cpp could not apply it")
            }
        }
        self.init(
            model: model, adapter: adapter, backend: handle, batchSize: batchSize, sequences: configuration.sequences,
            keepsLane: keepsLane)
    }

    /// A context on another backend than llama.cpp's, for tests.
    ///
    /// - Parameters:
    ///   - model: whose tokens the backend decodes.
    ///   - batchSize: most tokens of one call.
    ///   - sequences: those that the backend can tell apart.
    package init(
        model: LlamaModel, adapter: LlamaAdapter? = nil, backend: any ContextBackend, batchSize: Int, sequences: Int,
        keepsLane: Bool = true
    ) {
        keptLane = keepsLane ? InferenceLane.current : nil
        borrowedLane = InferenceLane.current
        self.model = model
        self.adapter = adapter
        self.backend = backend
        self.batchSize = batchSize
        cache = CellCache(backend: backend, canCut: model.canCutSequences, sequences: sequences)
        cells = cache.cells
    }

    /// Sequences that someone holds right now.
    public var leasedSequences: Int { cache.leasedCount }

    /// Keeps what every call of llama.cpp holds from now on.
    package func startJournal() { journal = [] }

    /// Cells in use right now.
    public var usedCells: Int { cache.used }

    // MARK: Decoding

    /// Decodes `entries`, in several batches when they are many, and hands out what their outputs lead to.
    ///
    /// What several tasks ask for at the same time shares batches: of answers in ``AnswerRounds``, what follows from their
    /// work; of other tasks, what has come when a batch is formed. After an error the sequences may hold any part of the
    /// entries: trim them or let them go.
    ///
    /// - Parameters:
    ///   - results: with hidden states llama.cpp works out all tokens to the end, not only those that are put out.
    ///   - receive: called with the index of an entry and its output, which is valid during the call.
    func decode(
        _ entries: [Entry], results: Results = .logits, signal: AbortSignal, receive: (Int, Output) throws -> Void
    ) async throws {
        let size = batchLimit(results)
        for start in stride(from: 0, to: entries.count, by: size) {
            let part = entries[start..<min(start + size, entries.count)]
            let row = try await place(of: .init(entries: part, results: results), signal: signal)
            defer { finishReading() }
            if signal.isRaised { throw CancellationError() }
            for index in part.indices where entries[index].isOutput {
                try receive(index, try output(at: Int32(row + index - start), results))
            }
        }
    }

    /// Has `entries` decoded along with the next batch that anybody asks for, without waiting for it; a few tokens, which
    /// cost little there.
    ///
    /// - Parameters:
    ///   - owner: who has one such work at a time.
    ///   - receive: as for ``decode(_:results:signal:receive:)``.
    ///   - land: called once, when all outputs were received, or with what went wrong: the sequences may then hold any part
    ///     of the entries.
    func board(
        _ entries: [Entry], of owner: AnyObject, results: Results, receive: @escaping (Int, Output) throws -> Void,
        land: @escaping ((any Error)?) -> Void
    ) {
        queue.add(
            .init(
                owner: ObjectIdentifier(owner), work: .init(entries: entries[...], results: results), receive: receive,
                land: land))
    }

    /// Takes back what still waits to go along; false when it is under way.
    func unboard(_ owner: AnyObject) -> Bool {
        queue.removePassenger(of: ObjectIdentifier(owner))
        return !(underWay?.passengers.contains { $0.owner == ObjectIdentifier(owner) } ?? false)
    }

    /// Most tokens that go along with others' batches at a time.
    static let mostPassengerTokens = 16

    /// Decodes what waits for a batch to go along with, or a part of it.
    func decodePassengers(signal: AbortSignal) async throws {
        _ = try await place(of: .init(entries: [], results: []), signal: signal)
        finishReading()
    }

    /// The row that the first entry of a work came to, which is not read yet.
    private func place(of work: DecodeQueue.Work, signal: AbortSignal) async throws -> Int {
        let member = AnswerRounds.current.flatMap { $0.rounds === rounds ? $0 : nil }
        return try await withCheckedThrowingContinuation { continuation in
            queue.add(
                .init(work: work, signal: signal) { result in
                    guard let member else { return continuation.resume(with: result) }
                    member.rounds.ready(member) { continuation.resume(with: result) }
                })
            if let member {
                member.rounds.wait(member)
            } else if queue.count == 1 {
                // Everything that is ready to join runs before it.
                Task { self.flush() }
            }
        }
    }

    /// Whether anybody waits for a batch.
    var isWaitedFor: Bool { queue.isWaitedFor }

    /// Decodes one batch of what waits, for the rounds, which are told when it is done.
    func decodeNext() { lane.takeTurn { self.start() } }

    /// Most tokens of a batch. With states all tokens have outputs, for which llama.cpp keeps room; and attention goes over
    /// the cells of the whole batch, so that wider ones are no faster.
    private func batchLimit(_ results: Results) -> Int { results.contains(.states) ? min(batchSize, 128) : batchSize }

    private func output(at row: Int32, _ results: Results) throws -> Output {
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
        return Output(logits: LogitRow(logits), state: state)
    }

    /// Has one batch of what waits decoded when the lane has time for it, the oldest first.
    private func flush() {
        // Who reads last, or what is under way, calls again. In rounds, they do.
        guard rounds?.isOver ?? true, readers == 0, underWay == nil, !isInLine, queue.isWaitedFor else { return }
        isInLine = true
        lane.takeTurn {
            self.isInLine = false
            return self.start()
        }
    }

    private func start() -> InferenceLane.Call? {
        guard var batch = queue.next(room: cells - cache.used) else { return nil }
        // Each fits by itself, as its owner has seen to.
        if !cache.makesRoom(for: batch.count) { batch = queue.putBack(batch) }
        do {
            let rows = try fill(batch)
            underWay = batch
            cache.isComputing = true
            return .init(
                compute: { [backend, lane] in backend.decode(rows, threads: lane.threads) }, land: { self.land($0) })
        } catch {
            finish(batch, .failure(error))
            return nil
        }
    }

    private func land(_ outcome: DecodeOutcome) {
        guard let batch = underWay else { return }
        underWay = nil
        cache.isComputing = false
        backend.graphSwitch.listen(to: [])
        finish(
            batch,
            Result {
                switch outcome.code {
                case 0: return
                case 1: throw LlamaError.contextFull(needed: cache.used, cells: cells)
                case 2: throw CancellationError()
                case let code: throw LlamaError.decodeFailed(code: code, reason: outcome.complaint)
                }
            })
    }

    /// Wakes those that a batch belongs to.
    private func finish(_ batch: DecodeQueue.Batch, _ result: Result<Void, any Error>) {
        if case .success = result { readers = batch.requests.count }
        var row = 0
        for request in batch.requests {
            let own = row
            request.finish(result.map { own })
            row += request.work.entries.count
        }
        for passenger in batch.passengers {
            do {
                try result.get()
                try receive(passenger, at: row)
                passenger.land(nil)
            } catch {
                passenger.land(error)
            }
            row += passenger.work.entries.count
        }
        if let rounds, !rounds.isOver {
            rounds.finishBatch()
        } else if queue.isWaitedFor {
            Task { self.flush() }
        }
    }

    private func receive(_ passenger: DecodeQueue.Passenger, at row: Int) throws {
        let entries = passenger.work.entries
        for index in entries.indices where entries[index].isOutput {
            try passenger.receive(index, try output(at: Int32(row + index), passenger.work.results))
        }
    }

    private func finishReading() {
        readers -= 1
        if readers == 0, queue.isWaitedFor { Task { self.flush() } }
    }

    /// Lays a batch out for llama.cpp, and takes the cells that it needs.
    private func fill(_ batch: DecodeQueue.Batch) throws -> Int32 {
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
        journal?.append(entries.map { BatchRow(token: $0.token, position: $0.position) })
        backend.graphSwitch.stopsAtStates = batch.results == .states
        backend.graphSwitch.listen(to: batch.requests.map(\.signal))
        backend.setWantsStates(batch.results.contains(.states))
        if batch.count > 0 { decodedBatches += 1 }
        decodedTokens += batch.count
        return Int32(batch.count)
    }
}
