import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQRewards
import TransferQRuntime

/// One answer of a batch.
struct BatchAnswer: Sendable {
    /// Of its prompt in the file.
    let place: Int
    let figures: AnswerFigures
    /// Nil when none is wanted.
    let trace: TraceLines?
    /// Whether the answer may differ in the last bits of its probabilities, and so in a token, from the one that its prompt
    /// gets alone.
    let dependsOnNeighbours: Bool
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

    func run(
        _ method: ConfiguredMethod, on runtime: Runtime, system: String?,
        request: @Sendable ([Message]) throws -> AnswerRequest
    ) async throws {
        let first = system.map { [Message(role: "system", content: $0)] } ?? []
        let conversations = try options.records.prompts(file, limit: options.limit).map { first + $0 }
        let requests = try conversations.enumerated().map { place, messages in
            do { return try request(messages) } catch { throw RequestFailure(place: place, reason: error) }
        }
        let settings = try await Interruption.cancellable { [options] in
            // Hashes whole models, and is needed only where answers are kept.
            guard options.output != nil, let request = requests.first else { return RunSettings() }
            let rewards = try await runtime.rewards(for: request.scoring)
            return try await RunSettings(request, runtime, rewards).with(method)
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
        let progress = ProgressLine("answers", of: conversations.count, known: known.count)
        let parallel = options.parallel ?? 8
        let clock = ContinuousClock()
        let start = clock.now
        let (isQuiet, isJSON) = (options.output != nil, format == .json)
        let totals = try await Interruption.cancellable {
            var (lines, totals) = (found, Totals())
            try await Self.answers(
                to: places.map { requests[$0] }, at: places, by: method, on: runtime, parallel: parallel,
                wantsTrace: traceFile != nil, keepsLate: isQuiet
            ) { answer in
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

    /// Answers requests, some at the same time, and delivers the answers in their order, each as soon as those before it
    /// are there.
    ///
    /// - Parameters:
    ///   - places: of the requests' prompts in the file.
    ///   - wantsTrace: whether answers come with the lines of their trace.
    ///   - keepsLate: whether answers that wait for an earlier one are delivered when something goes wrong.
    /// - Throws: what went wrong first; `CancellationError`.
    static func answers(
        to requests: [AnswerRequest], at places: [Int], by method: ConfiguredMethod, on runtime: Runtime,
        parallel: Int, wantsTrace: Bool = false, keepsLate: Bool = false, deliver: (BatchAnswer) throws -> Void
    ) async throws {
        guard !requests.isEmpty else { return }
        let prepared: PreparedPrompts
        do { prepared = try await runtime.prepare(requests, parallel: parallel) } catch let failure as RequestFailure {
            throw RequestFailure(place: places[failure.place], reason: failure.reason)
        }
        for notice in prepared.notices + prepared.prompts.flatMap(\.notices) { Console.sayOnce(notice) }
        try await Scheduler.run(requests.count, in: prepared.slots, keepsLate: keepsLate) { index, slot in
            do {
                return try await answer(
                    index, of: prepared, in: slot, at: places[index], by: method, wantsTrace: wantsTrace)
            } catch let error as CancellationError {
                throw error
            } catch {
                throw RequestFailure(place: places[index], reason: error)
            }
        } deliver: {
            try deliver($0)
        }
    }

    private static func answer(
        _ index: Int, of prepared: PreparedPrompts, in slot: any AnswerSlot, at place: Int, by method: ConfiguredMethod,
        wantsTrace: Bool
    ) async throws -> BatchAnswer {
        let prompt = try await prepared.open(index, in: slot)
        let trace = wantsTrace ? try TraceLines() : nil
        let tokenizer = prepared.models.tokenizer
        let summary = try await prompt.answer(by: method, isWhole: true) { event in
            event.say()
            guard let trace, case .step(let step) = event else { return }
            let line = TraceLine(step, tokenizer: tokenizer, prompt: place, conversation: prompt.messages)
            try trace.append(try JSON.line(line))
        }
        return BatchAnswer(
            place: place, figures: AnswerFigures(summary, method: method, prompt: prompt), trace: trace,
            dependsOnNeighbours: prepared.dependsOnNeighbours)
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
