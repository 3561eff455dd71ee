import Foundation

/// A program that runs beside this one: curl, or python3.
struct ChildProgram: Sendable {
    let arguments: [String]
    /// Written to its standard input, which is closed then.
    var input = ""

    /// Runs the program to its end. Cancelling the calling task kills it.
    ///
    /// - Parameter whileRunning: called ten times a second.
    /// - Returns: its exit code, 127 when it could not be started, and what it wrote to standard error.
    func run(whileRunning: () -> Void = {}) async throws -> (status: Int32, complaints: String) {
        let child = Process()
        child.executableURL = URL(filePath: "/usr/bin/env")
        child.arguments = arguments
        let complaints = Pipe()
        let standardInput = Pipe()
        child.standardError = complaints
        child.standardOutput = FileHandle.nullDevice
        child.standardInput = standardInput
        do { try child.run() } catch { return (127, error.localizedDescription) }
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
        let said = String(decoding: complaints.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        return (child.terminationStatus, said.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}
