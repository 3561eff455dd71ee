import Foundation
import Synchronization

/// A thread on which llama.cpp computes, one call after the other, while the ``InferenceActor`` sees to other things.
///
/// Contexts of one lane never compute at the same time, so that the threads of a call have the processors to themselves.
/// Several lanes with fewer threads each get more done than one with all of them, where there is work for all: the threads of
/// a call wait for each other at every operation, some thousand times in a batch.
public final class InferenceLane: Sendable {
    /// Where contexts compute that are made in this task; one lane for all unless it says otherwise.
    @TaskLocal public static var current = InferenceLane()

    /// Threads of the calls to come; nil leaves it to the context.
    public var threads: Int? {
        get { count.withLock { $0 } }
        set { count.withLock { $0 = newValue } }
    }
    private let count: Mutex<Int?>
    private let line = WaitingLine()

    /// - Parameter threads: of a call; nil leaves it to the context.
    public init(threads: Int? = nil) {
        count = Mutex(threads)
        // One thread for good: the helpers that OpenMP gives to a thread go on spinning for a while when another calls.
        let thread = Thread { [line] in while let work = line.next() { work() } }
        thread.name = "transferq.inference.lane"
        thread.stackSize = 8 << 20
        thread.qualityOfService = .userInitiated
        thread.start()
    }

    deinit { line.close() }

    /// Threads of a call in a context that is made in this task.
    static func threads(wanted: Int?) -> Int {
        current.threads ?? wanted ?? ProcessInfo.processInfo.activeProcessorCount
    }

    /// Has work done behind what waits already.
    func submit(_ work: @escaping @Sendable () -> Void) { line.add(work) }

    /// What work comes to, behind what waits already.
    func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in submit { continuation.resume(returning: work()) } }
    }
}

/// Work that waits for one thread.
private final class WaitingLine: Sendable {
    private let state = Mutex((work: [@Sendable () -> Void](), isClosed: false))
    private let arrivals = DispatchSemaphore(value: 0)

    func add(_ work: @escaping @Sendable () -> Void) {
        state.withLock { $0.work.append(work) }
        arrivals.signal()
    }

    /// Lets the thread go when all is done.
    func close() {
        state.withLock { $0.isClosed = true }
        arrivals.signal()
    }

    /// Waits for work; nil when the line is closed and done with.
    func next() -> (@Sendable () -> Void)? {
        while true {
            arrivals.wait()
            let (work, isOver) = state.withLock { state in
                (state.work.isEmpty ? nil : state.work.removeFirst(), state.work.isEmpty && state.isClosed)
            }
            if let work { return work }
            if isOver { return nil }
        }
    }
}
