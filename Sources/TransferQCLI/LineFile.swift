import Foundation
import TransferQ
import TransferQLlama
import TransferQRewards

/// Records as lines of a file, each appended when it is there, so that a run that was cut goes on where it was.
struct LineFile<Record: Decodable & Sendable>: Sendable {
    /// Nil keeps nothing on disk.
    let path: String?
    private(set) var records: [Record] = []

    /// Reads what an earlier run left; a last line that was cut is taken off.
    ///
    /// - Parameters:
    ///   - what: what the records are, for messages.
    ///   - beginning: what every line begins with: something else is never cut.
    ///   - isOwn: whether a record comes from a run with these settings.
    /// - Throws: `UsageError` for a file of something else.
    init(path: String?, what: String, beginning: String, isOwn: (Record) -> Bool) throws {
        self.path = path
        guard let path, let data = FileManager.default.contents(atPath: path) else { return }
        var whole = 0
        for line in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
            guard let record = try? JSONDecoder().decode(Record.self, from: line) else {  // refused right here
                throw Self.stranger(path, what)
            }
            guard isOwn(record) else {
                throw UsageError(
                    "\(path) holds \(what) of other settings; remove it, or choose another file for --output")
            }
            records.append(record)
            whole += line.count + 1
        }
        let tail = data.dropFirst(whole)
        guard !tail.isEmpty else { return }
        guard tail.prefix(beginning.utf8.count).elementsEqual(beginning.utf8.prefix(tail.count)) else {
            throw Self.stranger(path, what)
        }
        do { try data.prefix(whole).write(to: URL(filePath: path)) } catch {
            throw RewardError.cannotWrite(path: path, reason: error.localizedDescription)
        }
    }

    private static func stranger(_ path: String, _ what: String) -> UsageError {
        UsageError("\(path) holds something else than \(what); choose another file for --output")
    }

    var otherPrompts: UsageError {
        UsageError(
            "\(path ?? "the file") holds answers to other prompts; remove it, or choose another file for --output")
    }

    /// - Parameter line: what is written of the record.
    /// - Throws: ``RewardError/cannotWrite(path:reason:)``.
    mutating func append(_ record: Record, line: some Encodable) throws {
        records.append(record)
        guard let path else { return }
        do {
            if !FileManager.default.fileExists(atPath: path) { try Data().write(to: URL(filePath: path)) }
            let file = try FileHandle(forUpdating: URL(filePath: path))
            try file.seekToEnd()
            try file.write(contentsOf: Data((JSON.line(line) + "\n").utf8))
            try file.close()
        } catch {
            throw RewardError.cannotWrite(path: path, reason: error.localizedDescription)
        }
    }
}

/// What the answers of a run depend on besides their prompts, for a hash that tells runs apart.
struct RunSettings: Encodable {
    let models: [String?]
    let rewards: [[String]]
    let value: String?
    let maxTokens: Int
    let seed: UInt64
    /// Seconds and tokens.
    let budgets: [Double?]
    let methods: [String: [String: ParameterValue?]]
    /// SHA-256 of the files that are named.
    let files: [String]

    init(_ models: ModelOptions, _ answer: AnswerOptions, _ configured: [ConfiguredMethod]) async throws {
        self.models = [models.model, models.baseline, models.baselineSystem, models.baselineLora]
        rewards = [answer.reward, answer.baselineReward]
        value = answer.value
        maxTokens = answer.maxTokens
        budgets = [answer.timeBudget, answer.tokenBudget.map(Double.init)]
        var named = [try await ModelFiles.path(models.model), models.baselineLora ?? ""]
        if let baseline = models.baseline { named.append(try await ModelFiles.path(baseline)) }
        named += (answer.reward + answer.baselineReward + (answer.value.map { [$0] } ?? [])).flatMap {
            $0.split(separator: ":").map(String.init)
        }
        files = try named.filter { name in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: name, isDirectory: &isFolder) && !isFolder.boolValue
        }.map(GGUFFile.sha256)
        seed = answer.seed
        methods = Dictionary(
            uniqueKeysWithValues: configured.map { method in
                (method.name, Dictionary(uniqueKeysWithValues: method.parameters.map { ($0.name, $0.value) }))
            })
    }
}
