import Foundation
import Synchronization

/// Standard output carries results; everything else goes to standard error.
enum Console {
    static let isInputTerminal = isatty(STDIN_FILENO) == 1
    static let isErrorTerminal = isatty(STDERR_FILENO) == 1
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// Columns of the terminal at standard error, or what the variable COLUMNS says where there is none; nil for neither.
    static var errorColumns: Int? {
        var size = winsize()
        if ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        guard !isErrorTerminal, let text = ProcessInfo.processInfo.environment["COLUMNS"] else { return nil }
        return Int(text).flatMap { $0 > 0 ? $0 : nil }
    }

    /// One line to standard error.
    static func say(_ line: String) { write("transferq: \(line)\n", to: FileHandle.standardError) }

    private static let said = Mutex<Set<String>>([])

    /// One line to standard error, the first time only that it is said.
    static func sayOnce(_ line: String) {
        if said.withLock({ $0.insert(line).inserted }) { say(line) }
    }

    /// Lines to standard error as they are.
    static func draw(_ text: String) { write(text + "\n", to: FileHandle.standardError) }

    /// A line that replaces itself, on a terminal only; an empty one clears it.
    static func progress(_ text: String) {
        guard isErrorTerminal else { return }
        write("\r\u{1B}[K\(text)", to: FileHandle.standardError)
    }

    static func print(_ text: String, terminator: String = "\n") {
        write(text + terminator, to: FileHandle.standardOutput)
    }

    private static func write(_ text: String, to file: FileHandle) {
        do {
            try file.write(contentsOf: Data(text.utf8))
        } catch {
            // Nobody reads any more, or the disk is full: saying so may be impossible, going on is pointless.
            if file !== FileHandle.standardError {
                try? FileHandle.standardError.write(
                    contentsOf: Data("transferq: error: the output could not be written\n".utf8))  // as above
            }
            Foundation.exit(1)
        }
    }
}

/// How far long work has come, with the time that is left: a line that replaces itself on a terminal, a line for each
/// tenth elsewhere.
final class Progress: Sendable {
    private struct State {
        var tenth = 0
        /// What was there before this run did anything.
        var first: Int?
    }

    private let what: String
    private let total: Int
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    /// - Parameters:
    ///   - what: things that are counted, e.g. `answers read`.
    ///   - known: how many were there at the beginning.
    init(_ what: String, of total: Int, known: Int? = nil) {
        self.what = what
        self.total = total
        state.withLock { $0.first = known }
    }

    func update(_ done: Int) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let (tenth, isNew, first) = state.withLock { state in
            let first = state.first ?? 0
            let tenth = 10 * done / max(1, total)
            defer { state.tenth = tenth }
            return (tenth, tenth > state.tenth, first)
        }
        let left = Int(seconds / Double(max(1, done - first)) * Double(total - done))
        let line = "\(done) of \(total) \(what), about \(left) s left"
        if Console.isErrorTerminal {
            Console.progress(done < total ? line : "")
        } else if isNew, tenth < 10, seconds > 5 {
            Console.say(line)
        }
    }
}

/// Runs work that Ctrl-C cancels.
enum Interruption {
    static func cancellable<Result: Sendable>(
        _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let task = Task { try await work() }
        // A parent may have handed the signal down blocked; then it would never arrive.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global(qos: .userInitiated))
        source.setEventHandler { task.cancel() }
        source.resume()
        defer {
            source.cancel()
            signal(SIGINT, SIG_DFL)
        }
        return try await task.value
    }
}
