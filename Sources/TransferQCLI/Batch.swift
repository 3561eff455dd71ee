import ArgumentParser
import Foundation
import TransferQ
import TransferQLlama
import TransferQRewards

/// Many prompts to answer.
struct BatchOptions: ParsableArguments {
    @Option(
        help: "Answer all prompts of a file: JSON lines with a prompt or messages, or data of prompts with answers.")
    var batch: String?

    @Option(help: "With --batch: the first so many prompts only.")
    var limit: Int?

    @Option(
        help: """
            With --batch: prompts worked on at the same time, which share llama.cpp's batches (default: 8). With rollouts \
            on a processor each thread has its own, two to four at most. The same command gives the same answers. With \
            weights of fewer than 32 bits an answer may depend on those beside it; with MODEL@f32 (up to near-ties) or \
            --parallel 1 it does not.
            """)
    var parallel: Int?

    @Option(help: "With --batch: append answers to this file; a run that was cut goes on where it was.")
    var output: String?

    @OptionGroup var records: RecordFileOptions

    func validate() throws {
        if batch == nil, parallel != nil || output != nil || limit != nil || !records.isDefault {
            throw ValidationError(
                "--limit, --parallel, --output, --skip-broken and --ignore-key go with --batch FILE")
        }
        if let parallel, !(1...32).contains(parallel) {
            throw ValidationError("--parallel must be between 1 and 32, not \(parallel)")
        }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, not \(limit)") }
    }
}

/// Answers many prompts, some at the same time.
///
/// Which tokens share a batch follows from the prompts, the settings and the number of threads, so that the same command
/// writes the same answers. With weights of 32 bits every answer is the one that its prompt would get alone, up to
/// near-ties.
struct Batch {
    let models: ModelOptions
    let answer: AnswerOptions
    let method: ConfiguredMethod
    let rewards: Rewards
    let conversations: [[Message]]
    let parallel: Int

    /// - Parameters:
    ///   - places: of the conversations to answer.
    ///   - wantsTrace: whether answers come with the lines of their trace.
    ///   - keepsLate: whether answers that wait for an earlier one are delivered when something goes wrong.
    ///   - deliver: gets the answers in the order of `places`, each as soon as those before it are there.
    /// - Throws: what went wrong first; `CancellationError`.
    func run(
        _ places: [Int], wantsTrace: Bool = false, keepsLate: Bool = false, deliver: (BatchAnswer) throws -> Void
    ) async throws {
        guard !places.isEmpty else { return }
        let loaded = try await LoadedModels.load(models, rewards: rewards, methods: [method])
        if let value = rewards.value { try await loaded.check(value, methods: [method]) }
        let prompts = try await places.asyncMap { place in
            do { return try await loaded.prompts(for: conversations[place]) } catch {
                throw PromptFailure(place: place, reason: error)
            }
        }
        let lanes = try await BatchLanes(
            count: min(parallel, places.count), for: self, hasValueHead: rewards.value != nil
        ) { [self] parallel in
            try await Workplace(
                models: loaded, prompts: prompts, maximumLength: answer.maxTokens, methods: [method],
                rewardSource: try await rewards.target?.stateSource(for: conversations[places[0]]), rewards: rewards,
                parallel: parallel)
        }
        let dependsOnNeighbours = lanes.sharesBatches && !loaded.areAllPrecise
        try await lanes.run(places.count, keepsLate: keepsLate) { [self] index, lane in
            var answer = try await answer(
                places[index], prompts[index], lane.workplace, rewards, warns: index == 0, wantsTrace: wantsTrace)
            answer.dependsOnNeighbours = dependsOnNeighbours
            return answer
        } deliver: {
            try deliver($0)
        }
    }

    private func answer(
        _ place: Int, _ prompts: PromptTokens, _ workplace: Workplace, _ rewards: Rewards, warns: Bool,
        wantsTrace: Bool
    ) async throws -> BatchAnswer {
        let session = try await Session(workplace, conversations[place], prompts, answer: answer, rewards: rewards)
        let trace = wantsTrace ? try TraceLines() : nil
        let vocabulary = session.model.vocabulary
        let summary: GenerationSummary
        do {
            summary = try await session.run(method, warns: warns, isWhole: true) { step in
                guard let trace else { return }
                try trace.append(
                    try JSON.line(
                        TraceLine(step, vocabulary: vocabulary, prompt: place, conversation: session.conversation)))
            }
        } catch let error as CancellationError {
            throw error
        } catch {
            throw PromptFailure(place: place, reason: error)
        }
        return BatchAnswer(
            place: place, figures: AnswerFigures(summary, method: method, session: session), trace: trace)
    }
}

/// One answer of a batch.
struct BatchAnswer: Sendable {
    let place: Int
    let figures: AnswerFigures
    /// Nil when none is wanted.
    let trace: TraceLines?
    /// Whether the answer may differ in the last bits of its probabilities, and so in a token, from the one that its prompt
    /// gets alone.
    var dependsOnNeighbours = false
}

/// What went wrong with one prompt of many.
struct PromptFailure: Error, CustomStringConvertible {
    let place: Int
    let reason: any Error

    var description: String { "prompt \(place + 1) of the file: \(reason)" }
}

extension Collection {
    func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}

/// `generate --batch`.
struct BatchRun {
    let options: BatchOptions
    let file: String
    let trace: String?
    let format: OutputFormat

    /// What is read back of an answer that is there already.
    struct Record: Decodable {
        let prompt: Int
        let conversation: String
        let settings: RunSettings
    }

    /// A line of the output.
    private struct Line: Encodable {
        let answer: BatchAnswer
        let conversation: String
        let settings: RunSettings

        private enum CodingKeys: CodingKey { case prompt, conversation, settings, dependsOnNeighbours }

        func encode(to encoder: any Encoder) throws {
            try answer.figures.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(answer.place, forKey: .prompt)
            try container.encode(conversation, forKey: .conversation)
            try container.encode(settings, forKey: .settings)
            try container.encode(answer.dependsOnNeighbours, forKey: .dependsOnNeighbours)
        }
    }

    func run(_ method: ConfiguredMethod, models: ModelOptions, answer: AnswerOptions, system: String?) async throws {
        let first = system.map { [Message(role: "system", content: $0)] } ?? []
        let conversations = try options.records.prompts(file, limit: options.limit).map { first + $0 }
        let (rewards, settings) = try await Interruption.cancellable { [options] in
            let rewards = try await Rewards(answer, models: models)
            // Hashes whole models, and is needed only where answers are kept.
            guard options.output != nil else { return (rewards, RunSettings()) }
            return (rewards, try await RunSettings(models, answer, rewards).with(method))
        }
        let keys = try conversations.map(Fingerprint.of)
        let found = try LineFile<Record>(
            path: options.output, what: "answers", beginning: "{\"approximations\":"
        ) { settings.differences(from: $0.settings) }
        for record in found.records {
            guard keys.indices.contains(record.prompt), keys[record.prompt] == record.conversation else {
                throw found.otherPrompts(at: record.prompt)
            }
        }
        let known = Set(found.records.map(\.prompt))
        if !known.isEmpty { Console.say("\(known.count) answers are there already") }
        let places = conversations.indices.filter { !known.contains($0) }
        let traceFile = try trace.map { try TraceFile(path: $0, keeps: !known.isEmpty) }
        let progress = Progress("answers", of: conversations.count, known: known.count)
        let batch = Batch(
            models: models, answer: answer, method: method, rewards: rewards, conversations: conversations,
            parallel: options.parallel ?? 8)
        let clock = ContinuousClock()
        let start = clock.now
        let (isQuiet, isJSON) = (options.output != nil, format == .json)
        let totals = try await Interruption.cancellable {
            var (lines, totals) = (found, Totals())
            try await batch.run(places, wantsTrace: traceFile != nil, keepsLate: isQuiet) { answer in
                try answer.trace?.read { traceFile?.append($0) }
                // An answer that is kept is not traced again.
                if traceFile?.hasFailed ?? false { throw ExitCode.failure }
                let key = keys[answer.place]
                let line = Line(answer: answer, conversation: key, settings: settings)
                try lines.append(Record(prompt: answer.place, conversation: key, settings: settings), line: line)
                if !isQuiet { Console.print(isJSON ? try JSON.line(line) : Self.text(answer)) }
                totals.add(answer)
                progress.update(lines.records.count)
            }
            return totals
        }
        if totals.dependOnNeighbours {
            Console.say(
                "these answers shared batches, and with weights of fewer than 32 bits what shares a batch moves the last bits "
                    + "of each: the same command gives the same answers, but a prompt alone may get another one. With "
                    + "--parallel 1, or a model in 32 bits (MODEL@f32), it does not")
        }
        Console.draw(totals.line(seconds: (clock.now - start) / .seconds(1)))
    }

    private static func text(_ answer: BatchAnswer) -> String { "── \(answer.place + 1)\n\(answer.figures.response)\n" }

    /// What a batch came to.
    private struct Totals: Sendable {
        var answers = 0
        var rewards: [Double] = []
        var usage = Usage()

        /// Whether any of them does.
        var dependOnNeighbours = false

        mutating func add(_ answer: BatchAnswer) {
            let figures = answer.figures
            answers += 1
            dependOnNeighbours = dependOnNeighbours || answer.dependsOnNeighbours
            if let reward = figures.reward { rewards.append(reward) }
            usage += figures.usage
        }

        func line(seconds: Double) -> String {
            var parts = ["\(answers) answers"]
            if !rewards.isEmpty {
                parts.append("reward \((rewards.reduce(0, +) / Double(rewards.count)).fixed(3))")
            }
            parts.append("\(usage.completionTokens) tokens (\(usage.rolloutTokens) in rollouts)")
            parts.append("\(usage.rewardCalls) rewards")
            parts.append("\(seconds.fixed(1)) s")
            parts.append("\((Double(usage.completionTokens) / max(seconds, 1e-9)).fixed(1)) tokens/s")
            return parts.joined(separator: " · ")
        }
    }
}
