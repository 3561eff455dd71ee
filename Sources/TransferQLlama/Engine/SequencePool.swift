import CLlama
import Synchronization

/// The sequence ids of one context. A ``SequenceLease`` gives its id back when it goes; the context empties it before the
/// next lease.
final class SequencePool: Sendable {
    private struct State {
        var free: [llama_seq_id]
        var returned: [llama_seq_id] = []
    }

    let size: Int
    private let state: Mutex<State>

    init(count: Int) {
        size = count
        state = Mutex(State(free: (0..<llama_seq_id(count)).reversed()))
    }

    var leasedCount: Int { state.withLock { size - $0.free.count - $0.returned.count } }

    func lease() -> SequenceLease? {
        state.withLock { $0.free.popLast() }.map { SequenceLease(id: $0, pool: self) }
    }

    /// Ids that came back since the last call; they are free from now on.
    func reclaim() -> [llama_seq_id] {
        state.withLock { state in
            defer { state.returned = [] }
            state.free += state.returned
            return state.returned
        }
    }

    fileprivate func giveBack(_ id: llama_seq_id) { state.withLock { $0.returned.append(id) } }
}

/// A leased sequence of a context.
final class SequenceLease: Sendable {
    let id: llama_seq_id
    private let pool: SequencePool

    fileprivate init(id: llama_seq_id, pool: SequencePool) {
        self.id = id
        self.pool = pool
    }

    deinit { pool.giveBack(id) }
}
