import CLlama
package import TransferQ

/// The KV cache and compute buffers of one model (optionally under one adapter), shared by many sequences.
///
/// Its executor is the thread on which llama.cpp computes, that of the ``InferenceLane`` that it was made in; its policies and
/// readers have the same. llama.cpp ends the process on misuse, so every call is checked before it is made.
public actor LlamaContext {
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
        /// are few (a tenth to a third faster on a processor; with a graphics processor ``BatchSpeeds`` tells).
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

    public nonisolated let model: LlamaModel
    public nonisolated let adapter: LlamaAdapter?
    /// Most tokens that all sequences can hold together.
    public nonisolated let cells: Int
    /// Its sequences, and the cells that they hold.
    nonisolated let cache: CellCache
    /// What waits to be decoded.
    nonisolated let queue: DecodeQueue
    /// Where it computes, and where all that use its cache and its queue run.
    nonisolated let thread: InferenceThread

    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// - Throws: ``LlamaError/tooManySequences(needed:limit:)`` or ``LlamaError/contextRefused(cells:reason:)``.
    public init(
        model: LlamaModel, adapter: LlamaAdapter? = nil, configuration: Configuration = Configuration()
    ) async throws {
        guard configuration.sequences <= LlamaLibrary.maximumSequences else {
            throw LlamaError.tooManySequences(
                needed: configuration.sequences, limit: LlamaLibrary.maximumSequences)
        }
        guard configuration.cells >= 1, configuration.sequences >= 1, configuration.cells <= 1 << 24 else {
            throw LlamaError.contextRefused(cells: configuration.cells, reason: "the size is out of range")
        }
        let batchSize = max(512, configuration.sequences)
        let threads = InferenceLane.threads(wanted: configuration.threads)
        let handle = try await InferenceLane.current.thread.run {
            let handle = try ContextHandle(
                model: model, configuration: configuration, batchSize: batchSize, threads: threads
            ) { parameters in
                // Whatever the file is for, states are wanted token by token.
                parameters.pooling_type = LLAMA_POOLING_TYPE_NONE
                parameters.swa_full = true  // forks need every position of a sliding window
            }
            try adapter?.apply(to: handle)
            return handle
        }
        self.init(
            model: model, adapter: adapter, backend: handle, batchSize: batchSize, sequences: configuration.sequences)
    }

    /// A context on another backend than llama.cpp's, for tests.
    ///
    /// - Parameters:
    ///   - model: whose tokens the backend decodes.
    ///   - batchSize: most tokens of one call.
    ///   - sequences: those that the backend can tell apart.
    package init(
        model: LlamaModel, adapter: LlamaAdapter? = nil, backend: any ContextBackend, batchSize: Int, sequences: Int
    ) {
        let lane = InferenceLane.current
        thread = lane.thread
        self.model = model
        self.adapter = adapter
        cache = CellCache(backend: backend, sequences: sequences, thread: lane.thread)
        cells = cache.cells
        queue = DecodeQueue(model: model, backend: backend, cache: cache, batchSize: batchSize, lane: lane)
    }

    /// An empty sequence, given back when its last reference goes.
    ///
    /// - Throws: ``LlamaError/tooManySequences(needed:limit:)``.
    func lease() throws -> SequenceLease { try cache.lease() }

    /// Sequences that someone holds right now.
    public var leasedSequences: Int { cache.leasedCount }

    /// Cells in use right now.
    public var usedCells: Int { cache.used }

    /// Batches decoded so far.
    public var decodedBatches: Int { queue.decodedBatches }

    /// Tokens in them.
    public var decodedTokens: Int { queue.decodedTokens }

    /// What every call of llama.cpp held, row by row, since ``startJournal()``.
    package var journal: [[BatchRow]]? { queue.journal }

    /// Keeps what every call of llama.cpp holds from now on.
    package func startJournal() { queue.journal = [] }

    /// Jobs and batches that wait for the context's thread.
    package nonisolated var waitingJobs: Int { thread.waiting }
}
