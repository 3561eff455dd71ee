import Foundation
import TransferQ
import TransferQRuntime

/// The answers of one method of an evaluation.
struct AnswerWork: Sendable {
    /// One of them.
    struct Item: Sendable {
        let place: AnswerPlace
        let messages: [Message]
    }

    private let entry: MethodEntry
    private let specification: EvaluationSpec
    private let settings: RunSettings
    private let runtime: Runtime
    private let rewards: LoadedRewards
    /// Where traces go; nil without them.
    private let traces: RunFolder?

    init(
        _ entry: MethodEntry, _ specification: EvaluationSpec, _ settings: RunSettings, runtime: Runtime,
        rewards: LoadedRewards, traces: RunFolder?
    ) {
        self.entry = entry
        self.specification = specification
        self.settings = settings
        self.runtime = runtime
        self.rewards = rewards
        self.traces = traces
    }

    /// Seed by seed, all prompts.
    func places(of prompts: [NumberedPrompt]) -> [Item] {
        specification.seeds(of: entry).flatMap { seed in
            prompts.map { prompt in
                Item(
                    place: AnswerPlace(
                        prompt: prompt.number, promptHash: prompt.hash, method: entry.label, seed: seed),
                    messages: prompt.messages)
            }
        }
    }

    /// Makes those that are missing, and delivers them in their order, each as soon as those before it are there.
    ///
    /// - Parameter all: of the method: contexts are made for all of them, so that an answer does not depend on which
    ///   others are missing.
    func run(
        _ missing: [Item], all: [Item], parallel: Int, onEvent: @escaping @Sendable (EvaluationEvent) -> Void,
        deliver: (AnswerLine) throws -> Void
    ) async throws {
        guard !missing.isEmpty else { return }
        let requests = try all.map { item in
            try AnswerRequest(
                messages: item.messages, form: specification.prompts.form, method: entry.method,
                scoring: specification.scoring, limits: specification.limits, seed: item.place.seed)
        }
        let method = try entry.method.configured()
        let prepared: PreparedPrompts
        do {
            prepared = try await runtime.prepare(requests, methods: [method], rewards: rewards, parallel: parallel)
        } catch let failure as RequestFailure {
            throw RequestFailure(place: all[failure.place].place.prompt, reason: failure.reason)
        }
        for notice in prepared.notices + prepared.prompts.flatMap(\.notices) { onEvent(.notice(notice)) }
        let numbers = Dictionary(uniqueKeysWithValues: all.enumerated().map { ($1.place, $0) })
        try await Scheduler.run(missing.count, in: prepared.slots, keepsLate: true) { index, slot in
            let item = missing[index]
            do {
                return try await answer(
                    item, numbers[item.place] ?? index, of: prepared, by: method, in: slot, onEvent: onEvent)
            } catch let error as CancellationError {
                throw error
            } catch {
                throw RequestFailure(place: item.place.prompt, reason: error)
            }
        } deliver: {
            try deliver($0)
        }
    }

    private func answer(
        _ item: Item, _ index: Int, of prepared: PreparedPrompts, by method: ConfiguredMethod,
        in slot: any AnswerSlot, onEvent: @Sendable (EvaluationEvent) -> Void
    ) async throws -> AnswerLine {
        let prompt = try await prepared.open(index, in: slot)
        var chosen: [Token] = []
        var steps = 0
        var trace: [String] = []
        let tokenizer = prepared.models.tokenizer
        let summary = try await prompt.answer(by: method, isWhole: true) { event in
            switch event {
            case .notice(let sentence): onEvent(.notice(sentence))
            case .step(let step):
                chosen += step.decision.tokens
                steps += 1
                guard traces != nil else { return }
                trace.append(
                    try JSON.line(
                        TraceLine(
                            step, tokenizer: tokenizer, prompt: item.place.prompt, conversation: prompt.messages)))
            case .failure(let error): throw error
            case .finished: break
            }
        }
        let key = try AnswerKey.of(
            item.place, parameters: settings.parameters(of: entry.label), text: summary.response)
        var line = AnswerLine(
            item.place, messages: item.messages, response: summary.response, tokens: summary.tokens,
            finish: summary.finishReason, answer: key)
        line.endToken = chosen.last.flatMap { tokenizer.isEnd($0) ? $0 : nil }
        line.reward = summary.reward
        line.rewardParts = Dictionary(
            zip(rewards.target?.partNames ?? [], summary.rewardParts), uniquingKeysWith: +)
        (line.kl, line.klKind) = (summary.kl, summary.klKind)
        line.klPerToken = chosen.isEmpty ? nil : summary.kl.map { $0 / Double(chosen.count) }
        line.seconds = summary.usage.seconds
        line.rolloutTokens = summary.usage.rolloutTokens
        line.scoredTokens = summary.usage.scoredTokens
        line.modelCalls = steps + summary.usage.rolloutBatches
        line.approximations = method.method.approximations + prompt.approximations
        let choices = chosen
        let reading = try await slot.perform {
            try await ReferenceReading(of: choices, scored: summary.tokens, by: prompt.reference)
        }
        line.differs = reading.differs
        line.referenceLogProbability = reading.logProbability
        if let traces { try write(trace, to: traces.traceFile(key)) }
        return line
    }

    private func write(_ trace: [String], to file: URL) throws {
        do {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(trace.map { $0 + "\n" }.joined().utf8).write(to: file, options: .atomic)
        } catch {
            throw EvaluationError.cannotWrite(path: file.path, reason: error.localizedDescription)
        }
    }
}

/// An answer as the reference reads it.
struct ReferenceReading {
    /// Share of the choices that are not the reference's likeliest token; nil without a choice.
    let differs: Double?
    /// log π_ref of the response in nats.
    let logProbability: Double

    /// - Parameters:
    ///   - choices: all tokens that were chosen, the end token last.
    ///   - response: those of them that the answer consists of, its beginning.
    init(of choices: [Token], scored response: [Token], by reference: any Policy) async throws {
        var differing = 0
        var sum = 0.0
        for first in stride(from: 0, to: choices.count, by: Self.width) {
            let part = Array(choices[first..<min(first + Self.width, choices.count)])
            let before = Array(choices[..<first])
            let request = ProposalRequest(response: before, count: 1)
            // The rows of logits of a part are held together, which bounds how many there are.
            let path = Array(part.dropLast())
            if let model = reference.inProcess {
                let likeliest = try await model.propose(request, along: path)
                differing += zip(likeliest, part).count { $0.first?.token != $1 }
                sum += try await model.logProbabilities(of: part.map { [$0] }, after: before, along: path)
                    .prefix(max(0, response.count - first)).joined().reduce(0, +)
                continue
            }
            for index in part.indices {
                let place = before + part[..<index]
                if try await reference.propose(after: place, count: 1).first?.token != part[index] { differing += 1 }
                guard place.count < response.count else { continue }
                sum += try await reference.logProbabilities(of: [part[index]], after: place)[0]
            }
        }
        differs = choices.isEmpty ? nil : Double(differing) / Double(choices.count)
        logProbability = sum
    }

    private static let width = 64
}
