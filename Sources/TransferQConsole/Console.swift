import Foundation
import Synchronization

/// Standard output carries results; everything else goes to standard error.
package enum Console {
    /// What messages begin with: the name that the program was started by.
    static let program = URL(filePath: CommandLine.arguments.first ?? "transferq").lastPathComponent

    package static let isInputTerminal = isatty(STDIN_FILENO) == 1
    package static let isErrorTerminal = isatty(STDERR_FILENO) == 1
    package static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// Columns of the terminal at standard error, or what the variable COLUMNS says where there is none; nil for neither.
    package static var errorColumns: Int? {
        var size = winsize()
        if ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        guard !isErrorTerminal, let text = ProcessInfo.processInfo.environment["COLUMNS"] else { return nil }
        return Int(text).flatMap { $0 > 0 ? $0 : nil }
    }

    /// One line to standard error.
    package static func say(_ line: String) { write("\(program): \(line)\n", to: STDERR_FILENO) }

    private static let said = Mutex<Set<String>>([])

    /// One line to standard error, the first time only that it is said.
    package static func sayOnce(_ line: String) {
        if said.withLock({ $0.insert(line).inserted }) { say(line) }
    }

    /// Lines to standard error as they are.
    package static func draw(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// A line that replaces itself, on a terminal only; an empty one clears it.
    package static func progress(_ text: String) {
        guard isErrorTerminal else { return }
        write("\r\u{1B}[K\(text)", to: STDERR_FILENO)
    }

    package static func print(_ text: String, terminator: String = "\n") {
        write(text + terminator, to: STDOUT_FILENO)
    }

    /// Writes all of a text, or ends the program: quietly, as by SIGPIPE, when the reader of a pipe has gone, since nothing
    /// went wrong then; with a sentence and 1 when the disk is full.
    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                bytes = bytes.dropFirst(written)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&room, 1, 1000)
            case EPIPE: Interruption.endByBrokenPipe()
            default:
                let reason = String(cString: strerror(errno))
                if descriptor != STDERR_FILENO { say("error: the output could not be written (\(reason))") }
                Foundation.exit(1)
            }
        }
    }
}

/// How far long work has come, with the time that is left: a line that replaces itself on a terminal, a line for each
/// tenth elsewhere.
package final class ProgressLine: Sendable {
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
    package init(_ what: String, of total: Int, known: Int? = nil) {
        self.what = what
        self.total = total
        state.withLock { $0.first = known }
    }

    package func update(_ done: Int) {
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
