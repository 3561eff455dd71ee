import Foundation
import TransferQLlama

/// Runs the built `transferq`, as a user would.
struct ProgramRun {
    let status: Int32
    let wasSignalled: Bool
    let output: String
    let complaints: String

    /// The program beside the test bundle.
    static var executable: URL {
        get throws {
            var folder = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            for _ in 0..<4 {
                let program = folder.appending(path: "transferq")
                if FileManager.default.isExecutableFile(atPath: program.path) { return program }
                folder.deleteLastPathComponent()
            }
            throw CocoaError(.fileNoSuchFile)
        }
    }

    /// - Parameters:
    ///   - environment: added to this process's own.
    ///   - whileRunning: called once the program has started.
    static func run(
        _ arguments: [String], input: Data = Data(), environment: [String: String] = [:], folder: URL? = nil,
        whileRunning: (Process) throws -> Void = { _ in }
    ) throws -> ProgramRun {
        let process = Process()
        process.executableURL = try executable
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
    struct Answer: Decodable {
        struct Usage: Decodable {
            let promptTokens: Int
            let completionTokens: Int
            let rolloutTokens: Int
            let scoredTokens: Int
            let rewardCalls: Int
            let seconds: Double
        }

        struct Model: Decodable {
            let sha256: String
        }

        let response: String
        let finishReason: String
        let reward: Double?
        let kl: Double?
        let klBoundOverSkippedValues: Double?
        let klBoundOfMethod: Double?
        let klOfPointMass: Double?
        /// Whichever of them there is.
        var nats: Double? { kl ?? klBoundOverSkippedValues ?? klBoundOfMethod ?? klOfPointMass }
        let usage: Usage
        let seed: UInt64
        let model: Model
    }

    func answer() throws -> Answer { try JSONDecoder().decode(Answer.self, from: Data(output.utf8)) }
}
