import Foundation
import TransferQ
import TransferQLlama
public import TransferQRuntime

/// What an evaluation tells while it goes on.
public enum EvaluationEvent: Sendable {
    /// What a person should know, a sentence. The same sentence may come several times.
    case notice(String)
    /// A part of the work begins, for example `answers of greedy`: so many of all are there already.
    case began(String, known: Int, total: Int)
    /// So many more are there.
    case advanced(Int)
}

/// Makes the answers of an evaluation, and appends each to its folder.
///
/// A run that was cut, by whatever, goes on where it was: it makes those answers that are not there. So methods, seeds and
/// prompts may be added later. What answers depend on must be what it was.
public struct EvaluationRun: Sendable {
    public let specification: EvaluationSpec
    public let folder: RunFolder
    public let shard: Shard?
    /// Answers at the same time.
    public let parallel: Int
    /// The version of the program, for the record.
    public let program: String
    private let makeRuntime: @Sendable (ModelSpec?, BaselineSpec?) -> Runtime

    /// - Parameters:
    ///   - parallel: 1 to 32. Above 1, and with weights of fewer than 32 bits, an answer may depend on those beside it, so
    ///     that a run that was cut may end with other answers than one that was not.
    ///   - makeRuntime: all should have one engine, so that models are loaded once.
    public init(
        _ specification: EvaluationSpec, folder: RunFolder, shard: Shard? = nil, parallel: Int = 1, program: String,
        makeRuntime: @escaping @Sendable (ModelSpec?, BaselineSpec?) -> Runtime
    ) {
        self.specification = specification
        self.folder = folder
        self.shard = shard
        self.parallel = max(1, parallel)
        self.program = program
        self.makeRuntime = makeRuntime
    }

    /// Makes all answers that are missing.
    ///
    /// - Returns: how many were made; 0 when there was nothing left to do.
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` for a folder of something else, with what differs;
    ///   ``EvaluationError/cannotWrite(path:reason:)`` after which the folder can still go on; what is wrong with prompts,
    ///   models and rewards; `CancellationError`.
    public func makeAnswers(onEvent: @escaping @Sendable (EvaluationEvent) -> Void) async throws -> Int {
        let plain = makeRuntime(specification.model, nil)
        let all = try await specification.prompts.prompts(in: plain.rewardLoader.library.store) { onEvent(.notice($0)) }
        let prompts = all.filter { shard?.contains(prompt: $0.number) ?? true }
        let rewards = try await plain.rewards(for: specification.scoring)
        try await check(rewards, prompts, onEvent)
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        let settings = try await RunSettings(specification, plain, rewards)
        try open(settings, prompts)
        var file = try LineFile<AnswerLine>(
            path: folder.answersFile.path, what: "answers of a run", beginning: "{\"answer\":"
        ) { _ in [] }
        let known = Set(file.records.map(\.place))
        var count = 0
        for entry in specification.methods {
            let work = AnswerWork(
                entry, specification, settings, runtime: makeRuntime(specification.model, try baseline(of: entry)),
                rewards: rewards, traces: specification.traces ? folder : nil)
            let places = work.places(of: prompts)
            let missing = places.filter { !known.contains($0.place) }
            onEvent(
                .began("answers of \(entry.label)", known: places.count - missing.count, total: places.count))
            try await work.run(missing, all: places, parallel: parallel, onEvent: onEvent) { line in
                try file.append(line, line: line)
                count += 1
                onEvent(.advanced(1))
            }
        }
        return count
    }

    private func baseline(of entry: MethodEntry) throws -> BaselineSpec? {
        try specification.baseline(of: entry).flatMap { specification.baselines[$0] }
    }

    /// Loads what all methods need and tries them on it, so that what cannot work is known before hours have gone by.
    private func check(
        _ rewards: LoadedRewards, _ prompts: [NumberedPrompt], _ onEvent: (EvaluationEvent) -> Void
    ) async throws {
        for entry in specification.methods {
            let method = try entry.method.configured()
            let runtime = makeRuntime(specification.model, try baseline(of: entry))
            let (models, notices) = try await runtime.models(
                for: [method], rewards: rewards, hasSystem: specification.prompts.form == .chat)
            for notice in notices { onEvent(.notice(notice)) }
            do {
                try method.method.validate(vocabularySize: models.tokenizer.size, hasReward: rewards.hasValues)
            } catch let error as TransferQError {
                throw EvaluationError.invalidSpecification("the method \(entry.label): \(error)")
            }
            guard let first = prompts.first else { continue }
            _ = try await models.prompts(for: first.messages, form: specification.prompts.form)
        }
    }

    /// Sees that the folder is one to go on with, and writes what is in it from now on.
    private func open(_ settings: RunSettings, _ prompts: [NumberedPrompt]) throws {
        guard FileManager.default.fileExists(atPath: folder.specificationFile.path) else {
            guard !FileManager.default.fileExists(atPath: folder.answersFile.path) else {
                throw EvaluationError.unusableOutput(
                    "\(folder.url.path) holds answers without a specification.json, so it is not known what made them; "
                        + "restore that file, or choose another folder")
            }
            return try folder.write(
                RunSpecification(specification, settings: settings, program: program, shard: shard))
        }
        var record = try folder.specification()
        var conflicts = settings.conflicts(with: record.settings)
        if record.shard != shard {
            conflicts.append(
                "it was \(record.shard.map { "shard \($0)" } ?? "the whole") and is "
                    + "\(shard.map { "shard \($0)" } ?? "the whole")")
        }
        guard conflicts.isEmpty else {
            throw EvaluationError.unusableOutput(
                "\(folder.url.path) holds answers of other settings: \(conflicts.joined(separator: "; ")). "
                    + "Remove it, or choose another folder with --output")
        }
        let hashes = Dictionary(uniqueKeysWithValues: prompts.map { ($0.number, $0.hash) })
        for line in try folder.answers() {
            if let hash = hashes[line.prompt], hash != line.promptHash {
                throw EvaluationError.unusableOutput(
                    "\(folder.url.path) holds answers to another prompt \(line.prompt) than \(specification.prompts.file): "
                        + "\"\((line.messages.last?.content ?? "").prefix(60))\". Remove it, or choose another folder with "
                        + "--output")
            }
        }
        let earlier = record
        record.specification = specification.adding(to: record.specification)
        record.settings = settings.adding(record.settings)
        if record != earlier { try folder.write(record) }
    }
}
