import ArgumentParser
import Foundation
import Synchronization
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// Which files the answers of a session came from. Hashing reads them whole, so it is done once, and for JSON only.
struct SourceReport: Encodable {
    let model: ModelSource
    let baseline: ModelSource?

    init(_ models: any LoadedModels) async throws { (model, baseline) = try await models.sources() }
}

/// The one JSON object of an answer.
struct AnswerReport: Encodable {
    let figures: AnswerFigures
    /// Every parameter; null for those that are off.
    let method: [String: ParameterValue?]
    /// Its baseline is null when the reference is its own.
    let sources: SourceReport

    init(_ summary: GenerationSummary, method: ConfiguredMethod, prompt: PreparedPrompt, sources: SourceReport) {
        figures = AnswerFigures(summary, method: method, prompt: prompt)
        var parameters: [String: ParameterValue?] = ["name": .text(method.name)]
        for parameter in method.parameters { parameters.updateValue(parameter.value, forKey: parameter.name) }
        parameters["max-tokens"] = .integer(prompt.maximumLength)
        if method.hasConfidence {
            parameters["confidence-calibration"] = .text((prompt.rewards.confidence ?? .standard).source)
        }
        if let reward = prompt.rewards.target {
            parameters["reward"] = .text(reward.name)
            // Its default is a sentence; what it came to is a number.
            if case .text? = parameters["alpha"] { parameters["alpha"] = .number(reward.unit) }
        }
        if let reward = prompt.rewards.baseline { parameters["baseline-reward"] = .text(reward.name) }
        self.method = parameters
        self.sources = sources
    }

    private enum CodingKeys: CodingKey {
        case method, model, baseline
    }

    func encode(to encoder: any Encoder) throws {
        try figures.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(method, forKey: .method)
        try container.encode(sources.model, forKey: .model)
        try container.encode(sources.baseline, forKey: .baseline)
    }
}

/// The trace: a file that receives whole lines. A disk that fills up ends the trace, not the answer.
final class TraceFile: Sendable {
    private let path: String
    private let file: FileHandle
    private let failed = Mutex(false)

    /// Makes the file, or empties it.
    ///
    /// - Parameter keeps: whether what the file holds stays.
    init(path: String, keeps: Bool = false) throws {
        let isThere = path.hasPrefix("/dev/") || (keeps && FileManager.default.fileExists(atPath: path))
        guard isThere || FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw UsageError("the trace \(path) cannot be written; check that its folder is there and open to you") }
        self.path = path
        self.file = file
        guard keeps, !path.hasPrefix("/dev/") else { return }
        // A line that was cut goes, or the next would hang on it.
        let text = FileManager.default.contents(atPath: path) ?? Data()
        let whole = text.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        do {
            try file.truncate(atOffset: UInt64(whole))
            try file.seekToEnd()
        } catch { throw UsageError("the trace \(path) cannot be written; free some space or choose another file") }
    }

    /// Whether a line was lost.
    var hasFailed: Bool { failed.withLock { $0 } }

    func append(_ line: String) { append(Data((line + "\n").utf8)) }

    /// Adds lines, the last of which may be cut: its rest comes next.
    func append(_ lines: Data) {
        failed.withLock { failed in
            if failed { return }
            do { try file.write(contentsOf: lines) } catch {
                failed = true
                Console.say(
                    "error: the trace \(path) ends here, it could not be written; free some space. "
                        + "The answer goes on.")
            }
        }
    }
}

/// The lines of one answer's trace until they are written: in a file, as an answer that waits for an earlier one may have many.
final class TraceLines: Sendable {
    private let file: FileHandle

    /// - Throws: `UsageError` when there is no place for temporary files.
    init() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "transferq-trace-\(UUID().uuidString)").path
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forUpdatingAtPath: path)
        else { throw UsageError("\(path) cannot be written; free some space, or set TMPDIR to another folder") }
        // It goes with its last user, however this program ends.
        unlink(path)
        self.file = file
    }

    func append(_ line: String) throws { try file.write(contentsOf: Data((line + "\n").utf8)) }

    /// Hands out all lines, a block of some whole or partial ones at a time.
    func read(_ body: (Data) -> Void) throws {
        try file.seek(toOffset: 0)
        while let block = try file.read(upToCount: 1 << 20), !block.isEmpty { body(block) }
    }
}
