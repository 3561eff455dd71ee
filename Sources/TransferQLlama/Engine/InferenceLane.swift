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

    /// Threads of a call, 1 to 1024; nil leaves it to the context. The same for good, as how a call is split among threads may
    /// move the last bits of its results.
    public let threads: Int?
    private let line = WaitingLine()

    /// - Parameter threads: of a call; nil leaves it to the context.
    public init(threads: Int? = nil) {
        self.threads = threads.map(Self.possible)
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
        current.threads ?? possible(wanted ?? ProcessInfo.processInfo.activeProcessorCount)
    }

    private static func possible(_ threads: Int) -> Int { min(1024, max(1, threads)) }

    // MARK: Turns

    /// A call of llama.cpp.
    struct Call {
        /// Runs on the lane's thread.
        let compute: @Sendable () -> DecodeOutcome
        /// Gets what it came to.
        let land: @InferenceActor (DecodeOutcome) -> Void
    }

    /// What waits for the thread, oldest first.
    @InferenceActor private var waiting: [@InferenceActor () -> Call?] = []
    /// Whether the thread computes.
    @InferenceActor private var isBusy = false

    /// Has a call made when the thread is free: only then is it made up, so that all that came meanwhile is in it.
    ///
    /// - Parameter prepare: called once; nil when there is nothing to do after all.
    @InferenceActor
    func takeTurn(_ prepare: @escaping @InferenceActor () -> Call?) {
        waiting.append(prepare)
        startNext()
    }

    /// What a call comes to, behind what waits already.
    @InferenceActor
    func run(_ compute: @escaping @Sendable () -> DecodeOutcome) async -> DecodeOutcome {
        await withCheckedContinuation { continuation in
            takeTurn { Call(compute: compute) { continuation.resume(returning: $0) } }
        }
    }

    @InferenceActor
    private func startNext() {
        while !isBusy, !waiting.isEmpty {
            guard let call = waiting.removeFirst()() else { continue }
            isBusy = true
            line.add {
                let outcome = call.compute()
                Task { await self.finish(call, outcome) }
            }
        }
    }

    /// The thread goes on with the next call while what this one came to is looked at.
    @InferenceActor
    private func finish(_ call: Call, _ outcome: DecodeOutcome) {
        isBusy = false
        startNext()
        call.land(outcome)
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
