import ArgumentParser
import Foundation
import Synchronization
import TransferQ
import TransferQLlama

enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    case text, json
}

/// Which files the answers of a session came from. Hashing reads them whole, so it is done once, and for JSON only.
struct SourceReport: Encodable {
    struct Model: Encodable {
        let path: String
        let sha256: String
    }

    struct Baseline: Encodable {
        let path: String
        let sha256: String
        let adapter: String?
        let system: String?
    }

    let model: Model
    let baseline: Baseline?

    init(_ session: Session) async throws {
        let models = session.models
        let hash = try await GGUFFile.sha256(of: models.path)
        model = Model(path: models.path, sha256: hash)
        guard models.hasBaseline else {
            baseline = nil
            return
        }
        let path = (models.baselineModel ?? models.model).path
        baseline = Baseline(
            path: path, sha256: path == models.path ? hash : try await GGUFFile.sha256(of: path),
            adapter: models.options.baselineLora, system: models.options.baselineSystem)
    }
}

/// What an answer came to, as JSON.
struct AnswerFigures: Encodable {
    let response: String
    let finishReason: FinishReason
    let reward: Double?
    /// What each part of the sum adds, by its name.
    let rewardParts: [String: Double]
    let kl: KLFields
    /// Means over the steps.
    let effectiveSampleSize: Double?
    let rewardSpread: Double?
    let outsideProbability: Double?
    let search: SearchFigures?
    /// What the answer may differ from the full search's by; empty for an exact run.
    let approximations: [String]
    let usage: Usage
    let seed: UInt64
    /// Whether the system prompt went into the first turn of the user, because the chat template has no role for it.
    let systemFolded: Bool
    /// What the chat template was told when it asked for the date; null when it did not.
    let templateDate: String?

    init(_ summary: GenerationSummary, method: ConfiguredMethod, session: Session) {
        response = summary.response
        finishReason = summary.finishReason
        reward = summary.reward
        rewardParts = Dictionary(
            zip(session.reward?.partNames ?? [], summary.rewardParts), uniquingKeysWith: +)
        kl = KLFields(nats: summary.kl, kind: summary.klKind)
        effectiveSampleSize = summary.diagnostics.effectiveSampleSize
        rewardSpread = summary.diagnostics.rewardSpread
        outsideProbability = summary.diagnostics.outsideProbability
        search = SearchFigures(summary)
        approximations = method.method.approximations + session.approximations
        usage = summary.usage
        seed = session.seed
        systemFolded = session.prompts.isSystemFolded
        templateDate = session.prompts.date?.description
    }

    private enum CodingKeys: CodingKey {
        case response, finishReason, reward, rewardParts, effectiveSampleSize, rewardSpread,
            outsideProbability, search, approximations, usage, seed, systemFolded, templateDate
    }

    /// Written out so that what is unknown is null rather than missing.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(response, forKey: .response)
        try container.encode(finishReason, forKey: .finishReason)
        try container.encode(reward, forKey: .reward)
        if !rewardParts.isEmpty { try container.encode(rewardParts, forKey: .rewardParts) }
        try kl.encode(to: encoder)
        try container.encode(effectiveSampleSize, forKey: .effectiveSampleSize)
        try container.encode(rewardSpread, forKey: .rewardSpread)
        try container.encode(outsideProbability, forKey: .outsideProbability)
        try container.encode(search, forKey: .search)
        try container.encode(approximations, forKey: .approximations)
        try container.encode(usage, forKey: .usage)
        try container.encode(seed, forKey: .seed)
        try container.encode(systemFolded, forKey: .systemFolded)
        try container.encode(templateDate, forKey: .templateDate)
    }
}

/// The one JSON object of an answer.
struct AnswerReport: Encodable {
    let figures: AnswerFigures
    /// Every parameter; null for those that are off.
    let method: [String: ParameterValue?]
    /// Its baseline is null when the reference is its own.
    let sources: SourceReport

    init(_ summary: GenerationSummary, method: ConfiguredMethod, session: Session, sources: SourceReport) {
        figures = AnswerFigures(summary, method: method, session: session)
        var parameters: [String: ParameterValue?] = ["name": .text(method.name)]
        for parameter in method.parameters { parameters.updateValue(parameter.value, forKey: parameter.name) }
        parameters["max-tokens"] = .integer(session.maximumLength)
        if method.hasConfidence {
            parameters["confidence-calibration"] = .text((session.rewards.confidence ?? .standard).source)
        }
        if let reward = session.reward {
            parameters["reward"] = .text(reward.name)
            // Its default is a sentence; what it came to is a number.
            if case .text? = parameters["alpha"] { parameters["alpha"] = .number(reward.unit) }
        }
        if let reward = session.rewards.baseline { parameters["baseline-reward"] = .text(reward.name) }
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

/// What a search looked at, means over an answer's steps.
struct SearchFigures: Encodable {
    let evaluatedCandidates: Double
    let certifiedShare: Double
    let gatedShare: Double
    let expectedError: Double
    /// Steps that were checked, and those of them that failed; see ``Diagnostics/audited``.
    let audited: Int
    let auditMisses: Int
    /// The 95 % interval of the probability of a failure; nil without a check.
    let auditMissRate: ShareInterval?
    let rolloutTokensPerToken: Double
    /// Of the tokens of rollouts, those that earlier ones had written.
    let reusedShare: Double
    /// Rollouts asked for at a time.
    let batchWidth: Double

    /// Nil for a method that does not search.
    init?(_ summary: GenerationSummary) {
        let (figures, usage) = (summary.diagnostics, summary.usage)
        guard let evaluated = figures.evaluatedCandidates else { return nil }
        evaluatedCandidates = evaluated
        certifiedShare = figures.certifiedShare ?? 0
        gatedShare = figures.gatedShare ?? 0
        expectedError = figures.expectedError ?? 0
        audited = figures.audited
        auditMisses = figures.auditMisses
        auditMissRate = figures.auditMissRate
        rolloutTokensPerToken = Double(usage.rolloutTokens) / Double(max(1, usage.completionTokens))
        reusedShare = Double(usage.reusedTokens) / Double(max(1, usage.reusedTokens + usage.rolloutTokens))
        batchWidth = Double(usage.rollouts) / Double(max(1, usage.rolloutBatches))
    }
}

/// One line of a trace.
struct TraceLine: Encodable {
    struct Rollout: Encodable {
        let text: String
        let tokens: [Token]
        let logProbability: Double
        let finishReason: FinishReason
        let reward: Double
        /// What each part of the sum adds; absent for a reward that is none.
        let rewardParts: [Double]?
        let logWeight: Double?
    }

    struct Candidate: Encodable {
        let tokens: [Token]
        let text: String
        let logProbability: Double
        let value: Double?
        let score: Double
        let probability: Double
        let isChosen: Bool
        let effectiveSampleSize: Double?
        let rewardSpread: Double?
        let rollouts: [Rollout]
    }

    /// The prompt's place in its file; 0 for a prompt by itself.
    let prompt: Int
    /// What was asked; in the line of the first step only.
    let conversation: [Message]?
    let step: Int
    let tokens: [Token]
    let text: String
    let candidates: [Candidate]
    let kl: Double?
    let cumulativeKL: Double?
    /// What `kl` and `cumulativeKL` are.
    let klKind: KLKind
    let cumulativeKLKind: KLKind
    let alpha: Double?
    let outsideProbability: Double?

    init(_ step: DecodingStep, vocabulary: any Vocabulary, prompt: Int = 0, conversation: [Message]) {
        self.prompt = prompt
        self.conversation = step.index == 0 ? conversation : nil
        self.step = step.index
        tokens = step.decision.tokens
        text = step.text
        candidates = step.decision.candidates.map { candidate in
            Candidate(
                tokens: candidate.tokens, text: CandidateView.text(of: candidate.tokens, vocabulary),
                logProbability: candidate.logProbability, value: candidate.value, score: candidate.score,
                probability: candidate.probability, isChosen: candidate.tokens == step.decision.tokens,
                effectiveSampleSize: candidate.effectiveSampleSize, rewardSpread: candidate.rewardSpread,
                rollouts: candidate.rollouts.map { scored in
                    Rollout(
                        text: vocabulary.text(of: scored.rollout.tokens), tokens: scored.rollout.tokens,
                        logProbability: scored.rollout.logProbability, finishReason: scored.rollout.finishReason,
                        reward: scored.reward, rewardParts: scored.rewardParts.isEmpty ? nil : scored.rewardParts,
                        logWeight: scored.logWeight)
                })
        }
        kl = step.decision.kl
        cumulativeKL = step.cumulativeKL
        klKind = step.decision.klKind
        cumulativeKLKind = step.cumulativeKLKind
        alpha = step.decision.alpha
        outsideProbability = step.decision.outsideProbability
    }
}

enum JSON {
    static func line(_ value: some Encodable) throws -> String { try text(value, [.sortedKeys]) }

    static func pretty(_ value: some Encodable) throws -> String { try text(value, [.sortedKeys, .prettyPrinted]) }

    private static func text(_ value: some Encodable, _ format: JSONEncoder.OutputFormatting) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = format.union(.withoutEscapingSlashes)
        // log 0 of a token that a policy rules out.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return String(decoding: try encoder.encode(value), as: UTF8.self)
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
