import Foundation
import Synchronization

/// The executor of the actors that use llama.cpp: one thread, on which llama.cpp computes as well. So nothing is changed while
/// it computes, and nobody else's thread is blocked meanwhile.
///
/// Jobs of actors run in the order of their coming. A batch runs when no job is ready: what could join it has.
final class InferenceThread: SerialExecutor {
    private let line: Line
    // Only compared with.
    private nonisolated(unsafe) let thread: Thread

    init() {
        let line = Line()
        self.line = line
        // One thread for good: the helpers that OpenMP gives to a thread go on spinning for a while when another calls.
        thread = Thread { while let work = line.next() { work() } }
        thread.name = "transferq.inference"
        thread.stackSize = 8 << 20
        thread.qualityOfService = .userInitiated
        thread.start()
    }

    // What waits keeps the executor, so nothing waits any more.
    deinit { line.close() }

    /// Jobs and batches that wait for the thread.
    var waiting: Int { line.count }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        line.add(job: { job.runSynchronously(on: self.asUnownedSerialExecutor()) })
    }

    func checkIsolated() {
        precondition(Thread.current === thread, "what belongs to an inference thread is used on another")
    }

    /// Runs a batch when no job is ready, behind the batches that wait already.
    func whenIdle(_ batch: @escaping @Sendable () -> Void) {
        line.add(batch: {
            batch()
            withExtendedLifetime(self) {}
        })
    }

    /// What `work` comes to, run as a batch is.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            whenIdle { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// Work that waits for one thread.
private final class Line: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var batches: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    private let arrivals = DispatchSemaphore(value: 0)

    var count: Int { state.withLock { $0.jobs.count + $0.batches.count } }

    func add(job: @escaping @Sendable () -> Void) {
        state.withLock { $0.jobs.append(job) }
        arrivals.signal()
    }

    func add(batch: @escaping @Sendable () -> Void) {
        state.withLock { $0.batches.append(batch) }
        arrivals.signal()
    }

    /// Lets the thread go when all is done.
    func close() { arrivals.signal() }

    /// Waits for work; nil when the line is closed and done with.
    func next() -> (@Sendable () -> Void)? {
        // Every signal but the last stands for a job or a batch.
        arrivals.wait()
        return state.withLock { state in
            if !state.jobs.isEmpty { return state.jobs.removeFirst() }
            if !state.batches.isEmpty { return state.batches.removeFirst() }
            return nil
        }
    }
}
