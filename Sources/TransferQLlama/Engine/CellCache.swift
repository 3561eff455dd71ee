/// The sequences of a context: which are leased, and which of its cells they hold.
///
/// A sequence is leased, forked and trimmed; forks share the cells of what they have in common, so forking copies nothing.
final class CellCache: @unchecked Sendable {  // used on `thread` alone, which every lease and every count check
    /// Most tokens that all sequences can hold together.
    let cells: Int
    private let backend: any ContextBackend
    private let pool: SequencePool
    private var ledger: CellLedger
    private var keepers: [WeakKeeper] = []
    private let thread: InferenceThread

    private struct WeakKeeper {
        weak var keeper: (any CellKeeper)?
    }

    init(backend: any ContextBackend, sequences: Int, thread: InferenceThread) {
        self.thread = thread
        self.backend = backend
        cells = backend.cells
        pool = SequencePool(count: sequences)
        ledger = CellLedger(sequences: sequences)
    }

    /// Sequences that someone holds right now.
    var leasedCount: Int {
        reclaim()
        return pool.leasedCount
    }

    /// Cells in use right now.
    var used: Int {
        reclaim()
        return ledger.used
    }

    // MARK: Room

    /// Free sequences and cells; what is kept only to save work is given up, the oldest keeper's first, until they are as
    /// many as needed.
    func room(sequences: Int, cells needed: Int) -> (sequences: Int, cells: Int) {
        for entry in keepers where !hasRoom(sequences: sequences, cells: needed) { entry.keeper?.giveUpBranches() }
        reclaim()
        return (pool.size - pool.leasedCount, cells - ledger.used)
    }

    /// Whether so much is free.
    func hasRoom(sequences: Int, cells needed: Int) -> Bool {
        reclaim()
        return pool.size - pool.leasedCount >= sequences && cells - ledger.used >= needed
    }

    /// Remembers someone whose branches may be taken back when room is short.
    func register(_ keeper: any CellKeeper) {
        keepers.removeAll { $0.keeper == nil }
        keepers.append(WeakKeeper(keeper: keeper))
    }

    /// Takes back what is kept only to save work.
    private func evictBranches() {
        for entry in keepers { entry.keeper?.giveUpBranches() }
        reclaim()
    }

    // MARK: Sequences

    /// An empty sequence, given back when its last reference goes.
    func lease() throws -> SequenceLease {
        reclaim()
        if let sequence = pool.lease() { return sequence }
        evictBranches()
        guard let sequence = pool.lease() else {
            throw LlamaError.tooManySequences(needed: pool.leasedCount + 1, limit: pool.size)
        }
        return sequence
    }

    /// A new sequence with the first `length` tokens of `source`.
    func fork(_ source: SequenceLease, length: Int) throws -> SequenceLease {
        let sequence = try lease()
        adopt(0..<length, of: source, into: sequence)
        return sequence
    }

    /// Lets `sequence`, which holds what stands before, share the cells that `branch` has at `positions`.
    func adopt(_ positions: Range<Int>, of branch: SequenceLease, into sequence: SequenceLease) {
        backend.copy(Int32(positions.lowerBound)..<Int32(positions.upperBound), of: branch.id, to: sequence.id)
        ledger.copy(positions, of: branch.id, to: sequence.id)
    }

    /// Forgets what a sequence holds from `position` on.
    func trim(_ sequence: SequenceLease, from position: Int) {
        backend.remove(sequence.id, from: Int32(position))
        ledger.trim(sequence.id, from: position)
    }

    /// Tokens that a sequence holds.
    func length(of sequence: SequenceLease) -> Int { ledger.length(of: sequence.id) }

    /// Whether there are cells for so many new tokens; what is kept only to save work makes room for them.
    func makesRoom(for tokens: Int) -> Bool {
        if ledger.used + tokens > cells { evictBranches() }
        return ledger.used + tokens <= cells
    }

    /// Takes cells for new tokens at the ends of their sequences.
    ///
    /// - Throws: ``LlamaError/contextFull(needed:cells:)``.
    func add(_ entries: [DecodeWork.Entry]) throws {
        guard makesRoom(for: entries.count) else {
            throw LlamaError.contextFull(needed: ledger.used + entries.count, cells: cells)
        }
        for entry in entries { ledger.add(to: entry.sequences.lazy.map(\.id)) }
    }

    /// Empties the sequences whose holders have gone. When nobody holds any, the context is as good as new: where llama.cpp
    /// puts the next tokens, and with it the last bits of what they come to, does not depend on what it held before.
    private func reclaim() {
        thread.checkIsolated()
        let ids = pool.reclaim()
        for id in ids {
            backend.remove(id, from: 0)
            ledger.trim(id, from: 0)
        }
        if !ids.isEmpty, pool.leasedCount == 0 { backend.clear() }
    }
}

/// Holds sequences of a context that only save work.
protocol CellKeeper: AnyObject {
    /// Gives them up.
    func giveUpBranches()
}
