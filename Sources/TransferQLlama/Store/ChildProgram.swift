import Foundation
import TransferQRewards

/// A program that runs beside this one: curl, python3, or this program again as a probe.
struct ChildProgram: Sendable {
    /// How a program ended.
    struct Outcome: Sendable {
        /// Its exit code, or the signal that ended it; 127 when it could not be started.
        let status: Int32
        let wasSignalled: Bool
        /// What it wrote to standard error.
        let complaints: String
    }

    /// `env` finds programs by their names.
    var executable = URL(filePath: "/usr/bin/env")
    let arguments: [String]
    /// Written to its standard input, which is closed then.
    var input = ""
    /// Where its standard output goes; nil throws it away.
    var output: FileHandle?

    /// Runs the program to its end. Cancelling the calling task ends it.
    ///
    /// - Parameter whileRunning: called ten times a second, at first more often.
    /// - Throws: `CancellationError`.
    func run(whileRunning: () -> Void = {}) async throws -> Outcome {
        // A file, not a pipe: a program that says much would fill a pipe that nobody reads meanwhile.
        let log = FileManager.default.temporaryDirectory.appending(path: "transferq-\(UUID().uuidString).log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        // It may be gone already, with the folder.
        defer { try? FileManager.default.removeItem(at: log) }
        // A debugger that llama.cpp calls when it dies would only be slow.
        let environment = ProcessInfo.processInfo.environment.merging(["GGML_NO_BACKTRACE": "1"]) { $1 }
        let child: ChildProcess
        do {
            child = try ChildProcess(
                executable.path, arguments, environment: environment, input: .pipe,
                output: output.map { .file($0) } ?? .null,
                errors: FileHandle(forWritingAtPath: log.path).map { .file($0) } ?? .null)
        } catch {
            return Outcome(status: 127, wasSignalled: false, complaints: "\(error)")
        }
        // Also when this is cancelled.
        defer { child.end() }
        // A program that has gone already says why by its exit code.
        try? child.input?.write(contentsOf: Data(input.utf8))
        try? child.input?.close()
        var pause = 0.005
        while child.isRunning {
            whileRunning()
            try await Task.sleep(for: .seconds(pause))
            pause = min(0.1, 1.5 * pause)
        }
        try Task.checkCancellation()
        guard let status = child.end() else {
            return Outcome(status: 127, wasSignalled: false, complaints: "the system does not let go of it")
        }
        let said = String(decoding: FileManager.default.contents(atPath: log.path) ?? Data(), as: UTF8.self)
        return Outcome(
            status: status.code, wasSignalled: status.wasSignalled,
            complaints: said.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
