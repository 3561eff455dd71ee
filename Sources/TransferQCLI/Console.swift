import Foundation
import Synchronization

/// Standard output carries results; everything else goes to standard error.
enum Console {
    static let isInputTerminal = isatty(STDIN_FILENO) == 1
    static let isErrorTerminal = isatty(STDERR_FILENO) == 1
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// One line to standard error.
    static func say(_ line: String) { write("transferq: \(line)\n", to: FileHandle.standardError) }

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
