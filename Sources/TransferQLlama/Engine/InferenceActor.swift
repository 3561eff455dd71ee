import Dispatch

/// Where all llama.cpp work runs: one serial executor for the whole process.
///
/// Work that touches a context is synchronous, so nothing else runs between its first and its last line; a policy
/// must hold no invariant across an `await`.
@globalActor
public actor InferenceActor {
    public static let shared = InferenceActor()

    private let executor = InferenceExecutor()

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
}

/// A serial executor over a dispatch queue, so that blocking C work never holds a thread of the cooperative pool.
private final class InferenceExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "transferq.inference", qos: .userInitiated)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
