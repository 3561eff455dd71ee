import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Answers in lock step: what shares a batch follows from the work alone, however long anything takes.
@Suite struct AnswerRoundsTests {
    private let folder: TemporaryFolder
    private static let prompts = ["name a river", "say hello", "what is rain", "count", "describe a market", "why"]

    init() throws { folder = try TemporaryFolder() }

    private func model(_ format: Quantization) async throws -> LlamaModel {
        let (file, target) = (folder.file("tiny.gguf"), folder.file("tiny.\(format.rawValue).gguf"))
        try ModelWriter.tinyModel(to: file)
        try await format.requantize(file.path, to: target.path)
        return try await LlamaModel(path: target.path)
    }

    /// Waits a while that no seed decides.
    private static func pause(_ most: Int) async throws {
        if most > 0 { try await Task.sleep(for: .microseconds(Int.random(in: 0...most))) }
    }

    /// Prefers texts of many different letters, after a while.
    private struct SlowReward: RewardModel {
        let delay: Int
        let name = "slow"
        var range: ClosedRange<Double>? { nil }

        func rewards(for completions: [Completion]) async throws -> [Double] {
            try await pause(delay)
            return completions.map { Double(Set($0.text).count) }
        }
    }

    /// A policy that takes its time.
    private final class SlowPolicy: InProcessPolicy {
        let base: LlamaPolicy
        let delay: Int

        init(_ base: LlamaPolicy, delay: Int) { (self.base, self.delay) = (base, delay) }

        var tokenizer: any Tokenizer { base.tokenizer }
        var maximumResponseLength: Int { base.maximumResponseLength }
        var promptLength: Int { base.promptLength }
        var prompt: [Token] { base.prompt }
        var stateSource: StateSource? { base.stateSource }

        func propose(_ request: ProposalRequest) async throws -> [Candidate] {
            try await pause(delay)
            return try await base.propose(request)
        }

        func propose(_ request: ProposalRequest, along path: [Token]) async throws -> [[Candidate]] {
            try await pause(delay)
            return try await base.propose(request, along: path)
        }

        func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
            try await pause(delay)
            return try await base.score(continuations, after: response)
        }

        func prepare(after response: [Token], along path: [Token]) async throws {
            try await pause(delay)
            try await base.prepare(after: response, along: path)
        }

        func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
            try await pause(delay)
            return try await base.rollOut(request)
        }

        func read(_ continuations: [Continuation], after response: [Token]) async throws -> [Reading] {
            try await pause(delay)
            return try await base.read(continuations, after: response)
        }
    }

    private struct Outcome: Equatable {
        var answers: [Int: [Token]] = [:]
        /// What every call of llama.cpp held.
        var batches: [[LlamaContext.BatchRow]] = []
    }

    /// Answers all prompts, `members` at a time, each place taking every so-manieth.
    ///
    /// - Parameter delay: most microseconds that any call of a policy or reward waits.
    private func answer(
        _ model: LlamaModel, _ method: String, _ parameters: [String: ParameterValue], members: Int, delay: Int = 0
    ) async throws -> Outcome {
        let context = try await LlamaContext(
            model: model,
            configuration: .init(
                cells: 2048, sequences: 96, threads: 1, attention: model.hasPreciseWeights ? .precise : .flash))
        await context.startJournal()
        let rounds = await AnswerRounds(members: members, contexts: [context])
        let configured = try DecodingMethods.make(method, parameters)
        @Sendable func answer(_ index: Int) async throws -> [Token] {
            func policy(_ text: String) async throws -> SlowPolicy {
                SlowPolicy(
                    try await LlamaPolicy(context: context, prompt: model.prompt(continuing: text), rolloutLimit: 40),
                    delay: delay)
            }
            let task = try DecodingTask(
                reference: try await policy(Self.prompts[index]),
                baseline: try await policy("be kind. " + Self.prompts[index]), reward: SlowReward(delay: delay),
                maximumLength: 4 + index, seed: UInt64(index))
            var iterator = try Generation(task: task, method: configured.method).makeAsyncIterator()
            while let event = try await iterator.next() {
                if case .finished(let summary) = event { return summary.tokens }
            }
            return []
        }
        return try await withThrowingTaskGroup(of: [Int: [Token]].self) { group in
            for number in 0..<members {
                group.addTask {
                    try await Self.pause(delay)
                    var answers: [Int: [Token]] = [:]
                    for index in stride(from: number, to: Self.prompts.count, by: members) {
                        answers[index] = try await rounds.run(number) { try await answer(index) }
                    }
                    await rounds.leave(number)
                    return answers
                }
            }
            let answers = try await group.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
            return Outcome(answers: answers, batches: await context.journal ?? [])
        }
    }

    @Test(arguments: [Quantization.f32, .q8])
    func batchesFollowFromTheWorkAlone(format: Quantization) async throws {
        let model = try await model(format)
        let methods: [(String, [String: ParameterValue])] = [
            ("transfer-q", ["k": 4, "horizon": 4, "alpha": 0.5, "tilt": "baseline"]),
            ("transfer-q-indirect", ["k": 3, "horizon": 3, "rollouts": 2]), ("sample", [:]),
            ("best-of-n", ["n": 3]),
        ]
        for (method, parameters) in methods {
            let first = try await answer(model, method, parameters, members: 3)
            #expect(first.answers.count == Self.prompts.count)
            for delay in [0, 1000] {
                let again = try await answer(model, method, parameters, members: 3, delay: delay)
                #expect(again == first, "\(method), delays of up to \(delay) µs")
            }
            // Batches are shared: one after the other it takes far more of them. In 32 bits nothing else changes.
            let alone = try await answer(model, method, parameters, members: 1)
            #expect(Double(first.batches.count) < 0.75 * Double(alone.batches.count), "\(method)")
            if format == .f32 { #expect(first.answers == alone.answers, "\(method)") }
        }
    }

    @Test func aContextThatIsEmptyAgainIsAsGoodAsNew() async throws {
        let model = try await model(.q8)
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 512, sequences: 16, threads: 1))
        func answer() async throws -> [Double] {
            let policy = try await LlamaPolicy(context: context, prompt: model.prompt(continuing: "a river"))
            var response: [Token] = []
            var logs: [Double] = []
            for _ in 0..<20 {
                let best = try await policy.propose(after: response, count: 3)
                logs += best.map(\.logProbability)
                response.append(best[0].token)
            }
            return logs
        }
        let first = try await answer()
        // Somebody else uses cells and gives them back out of order.
        do {
            let other = try await LlamaPolicy(context: context, prompt: model.prompt(continuing: "another one"))
            let starts = try await other.propose(after: [], count: 5).map { [$0.token] }
            _ = try await other.rollOut(EngineTests.request([], starts, length: 7, count: 2, sampling: .ancestral))
        }
        #expect(try await answer() == first, "bit for bit")
    }

    private struct Failure: Error {}

    @Test(.timeLimit(.minutes(1))) func whoFailsOrLeavesHoldsNobodyUp() async throws {
        let model = try await model(.q8)
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 512, sequences: 16, threads: 1))
        let rounds = await AnswerRounds(members: 4, contexts: [context])
        @Sendable func steps(_ count: Int) async throws -> Int {
            let policy = try await LlamaPolicy(context: context, prompt: [1, 5, 9])
            var response: [Token] = []
            for _ in 0..<count { response.append(try await policy.propose(after: response, count: 1)[0].token) }
            return response.count
        }
        let gone = Task { await rounds.leave(0) }
        let failed = Task {
            try await rounds.run(1) {
                _ = try await steps(3)
                throw Failure()
            }
        }
        let stopped = Task { try await rounds.run(2) { while true { _ = try await steps(5) } } }
        let whole = Task { try await rounds.run(3) { try await steps(40) } }
        #expect(try await whole.value == 40)
        await rounds.leave(3)
        await #expect(throws: Failure.self) { try await failed.value }
        stopped.cancel()
        await #expect(throws: CancellationError.self) { try await stopped.value }
        await gone.value
        // Afterwards the context serves whoever comes.
        #expect(try await steps(2) == 2)
        #expect(await context.leasedSequences == 0)
    }

    @Test func aWidthThatSeveralMeasureIsTheSameForAll() async throws {
        let model = try await model(.q8)
        let store = ModelStore(root: folder.url)
        let widths = try await withThrowingTaskGroup(of: [Int: Double].self) { group in
            for _ in 0..<4 { group.addTask { try await BatchSpeeds.of(model, threads: 1, store: store).speeds } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(widths).count == 1)
        #expect(try await BatchSpeeds.of(model, threads: 1, store: store).speeds == widths[0])
        // A damaged file gives way, and nothing is left beside it.
        let speeds = folder.file("speeds")
        let files = try FileManager.default.contentsOfDirectory(atPath: speeds.path)
        #expect(files.count == 1)
        try Data("{".utf8).write(to: speeds.appending(path: files[0]))
        let again = try await BatchSpeeds.of(model, threads: 1, store: store).speeds
        #expect(try await BatchSpeeds.of(model, threads: 1, store: store).speeds == again)
        #expect(try FileManager.default.contentsOfDirectory(atPath: speeds.path) == files)
    }
}
