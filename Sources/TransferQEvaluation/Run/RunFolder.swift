public import Foundation

/// The folder that a run leaves. Whatever reports show is made of these files, without a model.
///
/// | file | content |
/// |---|---|
/// | `specification.json` | one ``RunSpecification`` |
/// | `answers.jsonl` | an ``AnswerLine`` for each prompt, method and seed |
/// | `gold.jsonl` | a ``ValueLine`` for each answer and gold reward |
/// | `metrics.jsonl` | a ``ValueLine`` for each answer and metric |
/// | `judgements.jsonl` | a ``JudgementLine`` for each pair of answers and order |
/// | `traces/ANSWER.jsonl` | a ``TraceLine`` for each step of the answer with that key; only where asked for |
///
/// Lines are appended whole. A last line that was cut is left out when a file is read.
public struct RunFolder: Hashable, Sendable {
    public let url: URL

    public init(_ path: String) { url = URL(filePath: path, directoryHint: .isDirectory) }

    public var specificationFile: URL { url.appending(path: "specification.json") }
    public var answersFile: URL { url.appending(path: "answers.jsonl") }
    public var goldFile: URL { url.appending(path: "gold.jsonl") }
    public var metricsFile: URL { url.appending(path: "metrics.jsonl") }
    public var judgementsFile: URL { url.appending(path: "judgements.jsonl") }
    public var tracesFolder: URL { url.appending(path: "traces", directoryHint: .isDirectory) }

    /// The trace of the answer with this key.
    public func traceFile(_ answer: String) -> URL { tracesFolder.appending(path: "\(answer).jsonl") }

    /// - Throws: ``EvaluationError/unusableOutput(_:)`` where there is none, or none that this version reads.
    public func specification() throws -> RunSpecification {
        guard let data = FileManager.default.contents(atPath: specificationFile.path) else {
            throw EvaluationError.unusableOutput(
                "\(url.path) is no run folder: it holds no specification.json; give the --output of evaluate run")
        }
        struct Format: Decodable { let format: Int }
        do {
            let format = try JSON.decoder.decode(Format.self, from: data).format
            guard format == RunSpecification.currentFormat else {
                throw EvaluationError.unusableOutput(
                    "\(specificationFile.path) has the format \(format), and this version reads "
                        + "\(RunSpecification.currentFormat); use the version that made it")
            }
            return try JSON.decoder.decode(RunSpecification.self, from: data)
        } catch let error as EvaluationError {
            throw error
        } catch {
            throw EvaluationError.unusableOutput(
                "\(specificationFile.path) cannot be read (\(JSON.sentence(error))); restore it, or begin another run")
        }
    }

    /// Writes `specification.json` in one step, the folder with it.
    func write(_ specification: RunSpecification) throws {
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try Data((JSON.pretty(specification) + "\n").utf8).write(to: specificationFile, options: .atomic)
        } catch {
            throw EvaluationError.cannotWrite(path: specificationFile.path, reason: error.localizedDescription)
        }
    }

    public func answers() throws -> [AnswerLine] { try lines(of: answersFile) }
    public func gold() throws -> [ValueLine] { try lines(of: goldFile) }
    public func metrics() throws -> [ValueLine] { try lines(of: metricsFile) }
    public func judgements() throws -> [JudgementLine] { try lines(of: judgementsFile) }

    /// The whole lines of a file; none where it is not there.
    ///
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` with the number of a line that is something else.
    func lines<Line: Decodable>(of file: URL) throws -> [Line] {
        guard let data = FileManager.default.contents(atPath: file.path) else { return [] }
        let decoder = JSON.decoder
        let lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        return try lines.enumerated().map { index, line in
            do { return try decoder.decode(Line.self, from: line) } catch {
                throw EvaluationError.unusableOutput(
                    "line \(index + 1) of \(file.path) cannot be read (\(JSON.sentence(error))); remove the line")
            }
        }
    }
}
