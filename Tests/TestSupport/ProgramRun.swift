package import Foundation

/// Runs a built program, as a user would.
package struct ProgramRun {
    package let status: Int32
    package let wasSignalled: Bool
    package let output: String
    package let complaints: String

    /// The package's programs.
    package enum Name: String, Sendable {
        case transferq
        case bench = "transferq-bench"
    }

    /// `transferq` beside the test bundle.
    package static var executable: URL {
        get throws { try executable(.transferq) }
    }

    private static func executable(_ name: Name) throws -> URL {
        var folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        for _ in 0..<4 {
            let program = folder.appending(path: name.rawValue)
            if FileManager.default.isExecutableFile(atPath: program.path) { return program }
            folder.deleteLastPathComponent()
        }
        throw CocoaError(.fileNoSuchFile)
    }

    /// - Parameters:
    ///   - environment: added to this process's own.
    ///   - whileRunning: called once the program has started.
    package static func run(
        _ arguments: [String], input: Data = Data(), environment: [String: String] = [:], folder: URL? = nil,
        of name: Name = .transferq, whileRunning: (Process) throws -> Void = { _ in }
    ) throws -> ProgramRun {
        let process = Process()
        process.executableURL = try executable(name)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let folder { process.currentDirectoryURL = folder }
        // Files, not pipes: a full pipe would stop the program.
        let scratch = FileManager.default.temporaryDirectory.appending(path: "transferq-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        func handle(_ name: String, _ content: Data) throws -> FileHandle {
            let file = scratch.appending(path: name)
            try content.write(to: file)
            return try FileHandle(forUpdating: file)
        }
        process.standardInput = try handle("in", input)
        process.standardOutput = try handle("out", Data())
        process.standardError = try handle("err", Data())
        try process.run()
        try whileRunning(process)
        process.waitUntilExit()
        func text(_ name: String) throws -> String {
            String(decoding: try Data(contentsOf: scratch.appending(path: name)), as: UTF8.self)
        }
        return ProgramRun(
            status: process.terminationStatus, wasSignalled: process.terminationReason == .uncaughtSignal,
            output: try text("out"), complaints: try text("err"))
    }

    /// The answer of `generate --format json`.
    package struct Answer: Decodable {
        package struct Usage: Decodable {
            package let promptTokens: Int
            package let completionTokens: Int
            package let rolloutTokens: Int
            package let scoredTokens: Int
            package let rewardCalls: Int
            package let seconds: Double
        }

        package struct Model: Decodable {
            package let sha256: String
        }

        package let response: String
        package let finishReason: String
        package let reward: Double?
        package let kl: Double?
        package let klBoundOverSkippedValues: Double?
        package let klBoundOfMethod: Double?
        package let klOfPointMass: Double?
        /// Whichever of them there is.
        package var nats: Double? { kl ?? klBoundOverSkippedValues ?? klBoundOfMethod ?? klOfPointMass }
        package let usage: Usage
        package let seed: UInt64
        package let model: Model
    }

    package func answer() throws -> Answer { try JSONDecoder().decode(Answer.self, from: Data(output.utf8)) }
}
