import Synchronization

/// Lets one after the other in, in the order of their coming. A task that is cancelled while it waits leaves the line at
/// once.
package final class Turn: Sendable {
    private struct Waiting {
        let number: Int
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var isTaken = false
        var arrivals = 0
        var waiting: [Waiting] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// Waits for the turn, which must be passed on with ``pass()``.
    ///
    /// - Throws: `CancellationError` when the task is cancelled before it has the turn; there is nothing to pass on then.
    package nonisolated(nonsending) func take() async throws {
        try Task.checkCancellation()
        let isFree = state.withLock { state in
            defer { state.isTaken = true }
            return !state.isTaken
        }
        // Nobody to wait for, and no other thread to go through.
        if isFree { return }
        let number = state.withLock { state in
            state.arrivals += 1
            return state.arrivals
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<Void, any Error>? in
                    // A cancellation that came before this found nobody in the line; one that comes later finds it.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.isTaken {
                        state.waiting.append(Waiting(number: number, continuation: continuation))
                        return nil
                    }
                    state.isTaken = true
                    return .success(())
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let left = state.withLock { state in
                state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
            }
            left?.continuation.resume(throwing: CancellationError())
        }
    }

    package func pass() {
        let next = state.withLock { state in
            if state.waiting.isEmpty {
                state.isTaken = false
                return nil as Waiting?
            }
            return state.waiting.removeFirst()
        }
        next?.continuation.resume()
    }
}
