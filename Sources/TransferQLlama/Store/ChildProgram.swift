import Foundation

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

    /// Runs the program to its end. Cancelling the calling task kills it.
    ///
    /// - Parameter whileRunning: called ten times a second.
    /// - Throws: `CancellationError`.
    func run(whileRunning: () -> Void = {}) async throws -> Outcome {
        let child = Process()
        child.executableURL = executable
        child.arguments = arguments
        // A file, not a pipe: a program that says much would fill a pipe that nobody reads meanwhile.
        let log = FileManager.default.temporaryDirectory.appending(path: "transferq-\(UUID().uuidString).log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        // It may be gone already, with the folder.
        defer { try? FileManager.default.removeItem(at: log) }
        let standardInput = Pipe()
        child.standardError = FileHandle(forWritingAtPath: log.path) ?? FileHandle.nullDevice
        // A debugger that llama.cpp calls when it dies would only be slow.
        child.environment = ProcessInfo.processInfo.environment.merging(["GGML_NO_BACKTRACE": "1"]) { $1 }
        child.standardOutput = output ?? FileHandle.nullDevice
        child.standardInput = standardInput
        do { try child.run() } catch {
            return Outcome(status: 127, wasSignalled: false, complaints: error.localizedDescription)
        }
        // A program that has gone already says why by its exit code.
        try? standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try? standardInput.fileHandleForWriting.close()
        try await withTaskCancellationHandler {
            while child.isRunning {
                whileRunning()
                // A cancelled sleep ends at once; the child is then on its way out.
                try? await Task.sleep(for: .milliseconds(100))
            }
            child.waitUntilExit()
            try Task.checkCancellation()
        } onCancel: {
            kill(child.processIdentifier, SIGKILL)
        }
        let said = String(decoding: FileManager.default.contents(atPath: log.path) ?? Data(), as: UTF8.self)
        return Outcome(
            status: child.terminationStatus, wasSignalled: child.terminationReason == .uncaughtSignal,
            complaints: said.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
