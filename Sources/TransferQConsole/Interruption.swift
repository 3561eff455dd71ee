import Foundation
import Synchronization
import TransferQRewards

/// What happens when the program is told to end: by Ctrl-C (SIGINT), by SIGTERM, or because its terminal has closed
/// (SIGHUP).
///
/// The first signal cancels the work, which keeps what there is and writes it; what is not done within a second is cut. The
/// second one ends the program at once. Either way its children go with it. The exit code is 128 and the signal's number:
/// 130, 143, 129.
package enum Interruption {
    private struct State {
        /// The first one.
        var signal: Int32?
        /// What cancels the work that is under way, by the number of its beginning.
        var work: [Int: @Sendable () -> Void] = [:]
        var begun = 0
        /// Seconds for the work to keep what there is.
        var patience = 0.95
    }

    private static let state = Mutex(State())
    /// A queue of its own, which gets a thread also when the work has all others.
    private static let queue = DispatchQueue(label: "transferq.signals", qos: .userInteractive)

    /// Where a signal has ended the work, the exit code that says so.
    static var exitCode: Int32 { 128 + (state.withLock { $0.signal } ?? SIGINT) }

    /// Listens from now on. To be called once, when the program begins.
    static func listen() {
        // A parent may have handed signals down blocked; then they would never arrive.
        var all = sigset_t()
        sigemptyset(&all)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&all, number) }
        pthread_sigmask(SIG_UNBLOCK, &all, nil)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var before = sigaction()
            // What nohup was asked for stays so.
            if number == SIGHUP, sigaction(number, nil, &before) == 0, isIgnored(before) { continue }
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                // Its own handler keeps the source, as long as the program runs.
                _ = source
                arrived(number)
            }
            source.resume()
        }
    }

    private static func isIgnored(_ action: sigaction) -> Bool {
        #if canImport(Darwin)
            let handler = action.__sigaction_u.__sa_handler
        #else
            let handler = action.__sigaction_handler.sa_handler
        #endif
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Runs work that a signal cancels.
    package static func cancellable<Result: Sendable>(
        _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await work() }
        return try await ended(task) { task.cancel() }
    }

    /// Runs work that ends by itself when it is told to, and is not cut before `patience` seconds after a signal.
    ///
    /// - Parameter end: tells the work to end; called once, on any thread.
    package static func graceful<Result: Sendable>(
        patience: Double, end: @escaping @Sendable () -> Void, _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        state.withLock { $0.patience = patience }
        return try await ended(Task { try await work() }, by: end)
    }

    private static func ended<Result: Sendable>(
        _ task: Task<Result, any Error>, by end: @escaping @Sendable () -> Void
    ) async throws -> Result {
        let (number, isLate) = state.withLock { state in
            state.begun += 1
            state.work[state.begun] = end
            return (state.begun, state.signal != nil)
        }
        if isLate { end() }
        defer { state.withLock { _ = $0.work.removeValue(forKey: number) } }
        return try await task.value
    }

    private static func arrived(_ signal: Int32) {
        let (isFirst, work, patience) = state.withLock { state in
            let isFirst = state.signal == nil
            state.signal = state.signal ?? signal
            return (isFirst, Array(state.work.values), state.patience)
        }
        guard isFirst, !work.isEmpty else { cut(signal) }
        for cancel in work { cancel() }
        queue.asyncAfter(deadline: .now() + patience) {
            // What work has kept is being written; that is not cut so soon.
            guard state.withLock({ $0.work.isEmpty }) else { cut(signal) }
            queue.asyncAfter(deadline: .now() + 4) { cut(signal) }
        }
    }

    /// Ends the program at once. Nothing else is cleaned up: threads that compute would be surprised by it.
    private static func cut(_ signal: Int32) -> Never {
        ChildProcess.endAll()
        let line = "\(Console.program): interrupted\n"
        // The program ends whether anybody reads it or not.
        _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        _exit(128 + signal)
    }

    /// Ends the program when its work has ended by itself after a signal.
    static func end() -> Never { cut(exitCode - 128) }

    /// Ends the program as programs end whose reader has gone, for example `head`: by SIGPIPE, without a word. A shell calls
    /// that 141.
    static func endByBrokenPipe() -> Never {
        ChildProcess.endAll()
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGPIPE)
        signal(SIGPIPE, SIG_DFL)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(SIGPIPE)
        _exit(128 + SIGPIPE)
    }
}
