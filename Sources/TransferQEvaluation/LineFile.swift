import Foundation
import TransferQ
import TransferQRewards

/// Records as lines of a file, each appended when it is there, so that a run that was cut goes on where it was.
public struct LineFile<Record: Decodable & Sendable>: Sendable {
    /// Nil keeps nothing on disk.
    public let path: String?
    public private(set) var records: [Record] = []

    /// Reads what an earlier run left; a last line that was cut is taken off.
    ///
    /// - Parameters:
    ///   - what: what the records are, for messages.
    ///   - beginning: what every line begins with: something else is never cut.
    ///   - differences: between what a record was made with and what this run would make it with; none for one of its own.
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` for a file of something else, or one that this run would not go on with.
    public init(path: String?, what: String, beginning: String, differences: (Record) -> [String]) throws {
        self.path = path
        if let path, FileManager.default.fileExists(atPath: path), path != "/dev/null",
            !RegularFile.exists(path)
        {
            throw EvaluationError.unusableOutput(
                "\(path) is no regular file, so \(what) cannot be kept in it; choose another for --output")
        }
        guard let path, let data = FileManager.default.contents(atPath: path) else { return }
        var whole = 0
        let decoder = JSON.decoder
        for line in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
            guard let record = try? decoder.decode(Record.self, from: line) else {  // refused right here
                throw Self.stranger(path, what)
            }
            let differences = differences(record)
            guard differences.isEmpty else {
                throw EvaluationError.unusableOutput(
                    "\(path) holds \(what) of other settings: \(differences.joined(separator: "; ")). "
                        + "Remove it, or choose another file for --output")
            }
            records.append(record)
            whole += line.count + 1
        }
        let tail = data.dropFirst(whole)
        guard !tail.isEmpty else { return }
        guard tail.prefix(beginning.utf8.count).elementsEqual(beginning.utf8.prefix(tail.count)) else {
            throw Self.stranger(path, what)
        }
        // Shortened in place: writing it anew would need room that a full disk does not have.
        do {
            let file = try FileHandle(forUpdating: URL(filePath: path))
            try file.truncate(atOffset: UInt64(whole))
            try file.close()
        } catch {
            throw EvaluationError.cannotWrite(path: path, reason: error.localizedDescription)
        }
    }

    private static func stranger(_ path: String, _ what: String) -> EvaluationError {
        EvaluationError.unusableOutput("\(path) holds something else than \(what); choose another file for --output")
    }

    /// - Parameter prompt: the place of the first prompt that differs.
    public func otherPrompts(at prompt: Int) -> EvaluationError {
        EvaluationError.unusableOutput(
            "\(path ?? "the file") holds answers to other prompts (prompt \(prompt + 1) differs, or is not there any more); "
                + "remove it, or choose another file for --output")
    }

    /// - Parameter line: what is written of the record.
    /// - Throws: ``EvaluationError/cannotWrite(path:reason:)``.
    public mutating func append(_ record: Record, line: some Encodable) throws {
        records.append(record)
        guard let path else { return }
        do {
            if !FileManager.default.fileExists(atPath: path) { try Data().write(to: URL(filePath: path)) }
            let file = try FileHandle(forUpdating: URL(filePath: path))
            try file.seekToEnd()
            try file.write(contentsOf: Data((JSON.line(line) + "\n").utf8))
            try file.close()
        } catch {
            throw EvaluationError.cannotWrite(path: path, reason: error.localizedDescription)
        }
    }
}
