import Foundation

/// Puts the folders of several runs of one evaluation together: shards, or methods that ran apart.
public enum RunMerge {
    /// Writes one folder of all.
    ///
    /// Answers come in the order of one whole run: method by method, seed by seed, prompt by prompt. What is in several
    /// folders is taken once, of the first. Gold rewards, metrics and judgements of the answers come along.
    ///
    /// - Parameters:
    ///   - folders: at least one.
    ///   - output: must not be there, or be empty.
    /// - Returns: answers in the new folder.
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` for folders of different settings, with what differs.
    public static func merge(_ folders: [RunFolder], into output: RunFolder) throws -> Int {
        guard let first = folders.first else {
            throw EvaluationError.invalidSpecification("give at least one run folder to merge")
        }
        // What is no folder holds nothing either; writing says so.
        let content = (try? FileManager.default.contentsOfDirectory(atPath: output.url.path)) ?? []
        guard content.isEmpty else {
            throw EvaluationError.unusableOutput("\(output.url.path) is there and not empty; choose another --output")
        }
        var record = try first.specification()
        for folder in folders {
            let next = try folder.specification()
            let conflicts = record.settings.conflicts(with: next.settings)
            guard conflicts.isEmpty else {
                throw EvaluationError.unusableOutput(
                    "\(first.url.path) and \(folder.url.path) are of different evaluations: "
                        + conflicts.joined(separator: "; ") + ". Merge runs of one configuration only")
            }
            record.settings = record.settings.adding(next.settings)
            record.specification = next.specification.adding(to: record.specification)
        }
        record.shard = nil
        var answers: [AnswerPlace: AnswerLine] = [:]
        var hashes: [Int: (hash: String, folder: RunFolder)] = [:]
        for folder in folders {
            for line in try folder.answers() {
                if let known = hashes[line.prompt], known.hash != line.promptHash {
                    throw EvaluationError.unusableOutput(
                        "prompt \(line.prompt) of \(folder.url.path) is another one than that of \(known.folder.url.path); "
                            + "merge runs on the same prompts only")
                }
                hashes[line.prompt] = (line.promptHash, folder)
                if answers[line.place] == nil { answers[line.place] = line }
            }
        }
        let methods = Dictionary(
            uniqueKeysWithValues: record.specification.methods.enumerated().map { ($1.label, $0) })
        let sorted = answers.values.sorted { left, right in
            let (one, other) = (methods[left.method] ?? .max, methods[right.method] ?? .max)
            return (one, left.seed, left.prompt) < (other, right.seed, right.prompt)
        }
        try output.write(record)
        try write(sorted, to: output.answersFile)
        try write(
            unique(folders.flatMap { try $0.gold() }) { [$0.answer, $0.name] }, to: output.goldFile)
        try write(
            unique(folders.flatMap { try $0.metrics() }) { [$0.answer, $0.name] }, to: output.metricsFile)
        try write(
            unique(folders.flatMap { try $0.judgements() }) { [$0.a, $0.b, $0.order.rawValue, $0.judge] },
            to: output.judgementsFile)
        for line in sorted {
            guard
                let trace = folders.map({ $0.traceFile(line.answer) })
                    .first(where: { FileManager.default.fileExists(atPath: $0.path) })
            else { continue }
            do {
                try FileManager.default.createDirectory(at: output.tracesFolder, withIntermediateDirectories: true)
                try FileManager.default.copyItem(at: trace, to: output.traceFile(line.answer))
            } catch {
                throw EvaluationError.cannotWrite(
                    path: output.traceFile(line.answer).path, reason: error.localizedDescription)
            }
        }
        return sorted.count
    }

    private static func unique<Line>(_ lines: [Line], by key: (Line) -> [String]) -> [Line] {
        var known: Set<[String]> = []
        return lines.filter { known.insert(key($0)).inserted }
    }

    private static func write(_ lines: [some Encodable], to file: URL) throws {
        guard !lines.isEmpty else { return }
        do {
            let text = try lines.map { try JSON.line($0) + "\n" }.joined()
            try Data(text.utf8).write(to: file, options: .atomic)
        } catch {
            throw EvaluationError.cannotWrite(path: file.path, reason: error.localizedDescription)
        }
    }
}
