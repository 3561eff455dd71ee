import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama
import TransferQRuntime

/// From a request to an answer, on a random model in 32 bits whose choices rounding does not decide.
@Suite struct RuntimeTests {
    private let folder: TemporaryFolder
    private let model: ModelSpec

    init() throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("sharp.gguf"), seed: 7000, shape: .sharp)
        model = try ModelSpec(folder.file("sharp.gguf").path)
    }

    private func runtime(baseline: BaselineSpec? = nil, capacity: RuntimeCapacity? = nil) -> Runtime {
        let store = ModelStore(root: folder.file("cache"))
        return Runtime(
            engine: LlamaEngine(library: ModelLibrary(store: store), threads: 1), model: model, baseline: baseline,
            capacity: capacity)
    }

    private func request(
        _ number: Int, method: String = "transfer-q", reward: String = "length:9", seed: UInt64 = 3, length: Int = 12
    ) throws -> AnswerRequest {
        try AnswerRequest(
            messages: [Message(role: "user", content: "question \(number) ab" + String(repeating: "c", count: number))],
            method: MethodSpec(method, Self.parameters(of: method)),
            scoring: ScoringSpec(reward: RewardSpec([reward])), limits: AnswerLimits(maximumTokens: length), seed: seed)
    }

    private static func parameters(of method: String) -> [String: ParameterValue] {
        switch method {
        case "sample": [:]
        case "args": ["k": 4, "choice": "sample"]
        default: ["k": 4, "horizon": 4, "choice": "sample"]
        }
    }

    private func answer(_ runtime: Runtime, _ request: AnswerRequest) async throws -> GenerationSummary {
        var text = ""
        for try await event in runtime.answer(request) {
            switch event {
            case .step(let step): text += step.text
            case .failure(let error): throw error
            case .notice: break
            case .finished(let summary):
                #expect(text == summary.response)
                return summary
            }
        }
        throw CancellationError()
    }

    @Test func answersThatRunTogetherEqualThoseOfOneByOne() async throws {
        let alone = runtime(baseline: .system("You are kind."))
        let pool = runtime(
            baseline: .system("You are kind."),
            capacity: try RuntimeCapacity(parallel: 3, promptTokens: 64, answerTokens: 16))
        for method in ["transfer-q", "args", "cd", "sample"] {
            let requests = try (0..<12).map { try request($0, method: method) }
            var expected: [GenerationSummary] = []
            for request in requests { expected.append(try await answer(alone, request)) }
            let together = try await withThrowingTaskGroup(of: (Int, GenerationSummary).self) { tasks in
                for (index, request) in requests.enumerated() {
                    tasks.addTask { (index, try await self.answer(pool, request)) }
                }
                return try await tasks.reduce(into: [Int: GenerationSummary]()) { $0[$1.0] = $1.1 }
            }
            for (index, summary) in expected.enumerated() {
                #expect(together[index]?.tokens == summary.tokens, "\(method), \(index)")
                #expect(together[index]?.reward == summary.reward)
            }
            // Different prompts draw different numbers.
            #expect(Set(expected.map(\.response)).count > 1)
        }
    }

    @Test func aListGivesTheSameAnswers() async throws {
        let runtime = runtime()
        let requests = try (0..<9).map { try request($0) }
        var expected: [[Token]] = []
        for request in requests { expected.append(try await answer(runtime, request).tokens) }
        for parallel in [1, 2, 4] {
            let prepared = try await runtime.prepare(requests, parallel: parallel)
            #expect(prepared.dependsOnNeighbours == false)
            var tokens: [[Token]] = []
            try await Scheduler.run(requests.count, in: prepared.slots) { index, slot in
                try await prepared.open(index, in: slot).answer(by: prepared.requests[index].method.configured()).tokens
            } deliver: {
                tokens.append($0)
            }
            #expect(tokens == expected, "\(parallel) at a time")
        }
    }

    @Test func cancelledAnswersFreeTheirSlots() async throws {
        let pool = runtime(capacity: try RuntimeCapacity(parallel: 2, promptTokens: 64, answerTokens: 16))
        for round in 0..<30 {
            let work = Task { try await answer(pool, request(round % 5, length: 200)) }
            try await Task.sleep(for: .microseconds(round * 300))
            work.cancel()
            _ = try? await work.value  // how far it came does not matter here
        }
        // More at a time than there are slots.
        let results = try await withThrowingTaskGroup(of: GenerationSummary.self) { tasks in
            for number in 0..<6 { tasks.addTask { try await self.answer(pool, self.request(number)) } }
            return try await tasks.reduce(into: [GenerationSummary]()) { $0.append($1) }
        }
        #expect(results.count == 6 && results.allSatisfy { $0.finishReason != .cancelled })
    }

    @Test func anAnswerThatNobodyPullsAnyMoreGivesItsSlotBack() async throws {
        let pool = runtime(capacity: try RuntimeCapacity(parallel: 1, promptTokens: 64, answerTokens: 16))
        for number in 0..<3 {
            for try await event in pool.answer(try request(number)) {
                if case .step = event { break }
            }
        }
        #expect(try await answer(pool, request(4)).tokens.isEmpty == false)
    }

    @Test func warningsAreEvents() async throws {
        var notices: [String] = []
        for try await event in runtime().answer(try request(0)) {
            if case .notice(let sentence) = event { notices.append(sentence) }
        }
        // The reward says what it wants, so the baseline is the model under that prompt.
        #expect(notices.count { $0.contains("the reward's own system prompt") } == 1)
        notices = []
        for try await event in runtime().answer(try request(0, reward: "regex:a")) {
            if case .notice(let sentence) = event { notices.append(sentence) }
        }
        #expect(notices.contains { $0.contains("there is no baseline") })
    }

    @Test func modelsAndRewardsAreLoadedOnce() async throws {
        let runtime = runtime()
        let scoring = ScoringSpec(reward: try RewardSpec(["length:4"]))
        let loaded = try await withThrowingTaskGroup(of: (LlamaModel, LoadedRewards).self) { tasks in
            for _ in 0..<8 {
                tasks.addTask {
                    let models = try await runtime.models().models as? LlamaModels
                    return (try #require(models).model, try await runtime.rewards(for: scoring))
                }
            }
            return try await tasks.reduce(into: [(LlamaModel, LoadedRewards)]()) { $0.append($1) }
        }
        #expect(loaded.allSatisfy { $0.0 === loaded[0].0 })
    }

    @Test func longerRequestsGetRoomOfTheirOwn() async throws {
        let pool = runtime(capacity: try RuntimeCapacity(parallel: 2, promptTokens: 8, answerTokens: 4))
        let (short, long) = (try request(0, length: 3), try request(30, length: 40))
        async let one = answer(pool, short)
        async let two = answer(pool, long)
        let (first, second) = try await (one, two)
        let alone = runtime()
        #expect(try await answer(alone, short).tokens == first.tokens)
        #expect(try await answer(alone, long).tokens == second.tokens)
        #expect(second.tokens.count > 8)
    }

    /// Answers whose contexts do not fit in beside each other run one after the other; what never fits is refused.
    @Test func contextsKeepToTheirMemory() async throws {
        let (short, long) = (try request(0, length: 8), try request(1, length: 30))
        func capacity(_ bytes: Int) throws -> RuntimeCapacity {
            try RuntimeCapacity(parallel: 1, promptTokens: 64, answerTokens: 8, keptSets: 4, memory: bytes)
        }
        let error = await #expect(throws: RuntimeError.self) {
            _ = try await answer(runtime(capacity: try capacity(1000)), long)
        }
        guard case .tooLittleMemory(let needed, 1000) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        // Room for either of the two.
        let pool = runtime(capacity: try capacity(needed))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in 0..<12 {
                tasks.addTask {
                    let summary = try await self.answer(pool, number.isMultiple(of: 2) ? short : long)
                    #expect(!summary.tokens.isEmpty)
                }
            }
            try await tasks.waitForAll()
        }
        #expect(await pool.slotSets == 1)

        // Whoever waits for memory stops when it is cancelled.
        var events = pool.answer(long).makeAsyncIterator()
        _ = try await events.next()
        let waiting = Task { try await answer(pool, short) }
        try await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        await #expect(throws: CancellationError.self) { _ = try await waiting.value }
        while try await events.next() != nil {}
    }

    @Test func whatIsWrongIsSaidBeforeAnythingRuns() async throws {
        let missing = Runtime(
            engine: LlamaEngine(library: ModelLibrary(store: ModelStore(root: folder.file("cache")))),
            model: try ModelSpec(folder.file("none.gguf").path))
        await #expect(throws: LlamaError.noSuchFile(path: folder.file("none.gguf").path)) {
            _ = try await answer(missing, request(0))
        }
        await #expect(throws: TransferQError.self) { _ = try await answer(runtime(), request(0, reward: "nothing:1")) }
        let indirect = try AnswerRequest(
            messages: [Message(role: "user", content: "a")], method: MethodSpec("cd"))
        await #expect(throws: TransferQError.missingReward(method: "cd")) { _ = try await answer(runtime(), indirect) }
    }
}
