import Synchronization

/// Work in a task of its own, for someone who must not wait for it longer than some time: work may ignore that it is
/// cancelled. What it comes to after that is dropped.
final class SeparateWork<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiting: CheckedContinuation<Value, any Error>?
    }

    private let state = Mutex(State())
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// Starts the work, which does not inherit a cancellation of the calling task.
    init(_ work: @escaping @Sendable () async throws -> Value) {
        let task = Task {
            do { settle(.success(try await work())) } catch { settle(.failure(error)) }
        }
        self.task.withLock { $0 = task }
    }

    /// What the work comes to. To be asked for once.
    ///
    /// - Throws: what the work throws, or `CancellationError` when it was not waited for.
    var value: Value {
        get async throws {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.waiting = continuation }
                    return state.result
                }
                if let result { continuation.resume(with: result) }
            }
        }
    }

    /// Cancels the work now.
    func cancel() { task.withLock { $0 }?.cancel() }

    /// Ends the wait after some time, and cancels the work then.
    func giveUp(after time: Duration) {
        Task {
            // This task is nobody's, so nobody cancels it.
            try? await Task.sleep(for: time)
            cancel()
            settle(.failure(CancellationError()))
        }
    }

    private func settle(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state in
            guard state.result == nil else { return nil as CheckedContinuation<Value, any Error>? }
            state.result = result
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(with: result)
    }
}

/// Runs foreign work that a cancellation of the calling task ends within 0.15 seconds, whether the work heeds it or
/// not.
func endedByCancellation<Value: Sendable>(
    _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try Task.checkCancellation()
    let work = SeparateWork(work)
    return try await withTaskCancellationHandler {
        try await work.value
    } onCancel: {
        work.cancel()
        // Work that does heed it has the time to put away what it used.
        work.giveUp(after: .milliseconds(150))
    }
}
