import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQRewards
import TransferQRuntime
import TransferQTheory

/// A runtime on an engine that has nothing to do with llama.cpp.
@Suite struct EngineTests {
    private let engine = TableEngine()

    private func runtime(capacity: RuntimeCapacity? = nil) throws -> Runtime {
        Runtime(
            engine: engine, model: try ModelSpec("1"), baseline: try BaselineSpec(model: ModelSpec("2")),
            rewardLoader: RewardLoader(), capacity: capacity)
    }

    private func request(_ method: String, reward: String? = "length:3", seed: UInt64 = 5) throws -> AnswerRequest {
        try AnswerRequest(
            messages: [Message(role: "user", content: "a")],
            method: MethodSpec(
                method, ["sample", "greedy", "best-of-n"].contains(method) ? [:] : ["k": 5, "choice": "sample"]),
            scoring: ScoringSpec(reward: reward.map { try RewardSpec([$0]) }), limits: AnswerLimits(maximumTokens: 6),
            seed: seed)
    }

    private func answer(_ runtime: Runtime, _ request: AnswerRequest) async throws -> GenerationSummary {
        for try await event in runtime.answer(request) {
            switch event {
            case .finished(let summary): return summary
            case .failure(let error): throw error
            case .notice, .step: break
            }
        }
        throw CancellationError()
    }

    /// The same tokens as the decoder by itself, for every method.
    @Test(arguments: ["greedy", "sample", "best-of-n", "args", "cd", "transfer-q", "transfer-q-soft"])
    func answersAreTheDecodersOwn(method: String) async throws {
        let request = try request(method)
        let configured = try request.method.configured()
        let reward = TabularReward.random(seed: 9)
        let prepared = try await runtime().prepare(request, rewards: LoadedRewards(target: reward))
        let summary = try await prepared.open(0).answer(by: configured, isWhole: true)
        let task = try DecodingTask(
            reference: TableModels.policy(1), baseline: TableModels.policy(2), reward: reward,
            conversation: request.messages, maximumLength: 6, seed: 5)
        var expected: GenerationSummary?
        for try await event in try Generation(task: task, method: configured.method) {
            if case .finished(let summary) = event { expected = summary }
        }
        #expect(summary.tokens == expected?.tokens && summary.reward == expected?.reward)
        #expect(try #require(summary.reward) != 0)
    }

    @Test func answersShareSlotsOneByOneAndTogether() async throws {
        let pool = try runtime(capacity: RuntimeCapacity(parallel: 3, promptTokens: 4, answerTokens: 6))
        let requests = try (0..<12).map { try request($0.isMultiple(of: 2) ? "transfer-q" : "cd", seed: UInt64($0)) }
        let together = try await withThrowingTaskGroup(of: (Int, [Token]).self) { tasks in
            for (number, request) in requests.enumerated() {
                tasks.addTask { (number, try await self.answer(pool, request).tokens) }
            }
            return try await tasks.reduce(into: [Int: [Token]]()) { $0[$1.0] = $1.1 }
        }
        // Two kinds of answers at most, three slots each.
        #expect(engine.made.count <= 6)
        let alone = try runtime()
        for (number, request) in requests.enumerated() {
            #expect(try await answer(alone, request).tokens == together[number])
        }
        #expect(Set(together.values).count > 1)
    }

    /// Weights of rewards make no slots of their own.
    @Test func otherWeightsShareSlots() async throws {
        let pool = try runtime(capacity: RuntimeCapacity(parallel: 2, promptTokens: 4, answerTokens: 6))
        for weight in ["", ":0.5", ":2", ":0.25"] {
            let own = try request("transfer-q", reward: "length:3\(weight)")
            #expect(try await answer(pool, own).tokens == answer(runtime(), own).tokens)
        }
        #expect(await pool.slotSets == 1)
    }

    @Test func whatAnEngineLacksIsSaid() async throws {
        let states = (0..<4).map { number in
            ValuedState(
                prompt: number / 2,
                states: [Float(1), Float(number)].map {
                    PooledState(source: .init(weights: "", prompt: []), last: [$0], mean: [$0])
                }, values: [0, Double(number)], pooling: .last)
        }
        let head = LinearValueHead(
            backbone: LinearHead.Backbone(model: "m", sha256: "0", type: nil, width: 1), system: nil, pooling: .last,
            fit: try await ValueFit(states, folds: 2))
        let folder = try TemporaryFolder()
        let path = folder.file("head.json").path
        try head.write(to: path)
        func answer(_ method: String) async throws -> GenerationSummary {
            let request = try AnswerRequest(
                messages: [Message(role: "user", content: "a")], method: MethodSpec(method),
                scoring: ScoringSpec(reward: RewardSpec(["length:3"]), valueHead: path),
                limits: AnswerLimits(maximumTokens: 3))
            return try await self.answer(runtime(), request)
        }
        let error = await #expect(throws: RuntimeError.self) { _ = try await answer("cd") }
        #expect("\(try #require(error))".contains("do not hand out"))
        // Methods that read no head do not mind.
        #expect(try await answer("greedy").tokens.count > 0)
        await #expect(throws: RuntimeError.self) {
            let unknown = Runtime(engine: engine, model: try ModelSpec("x"), rewardLoader: RewardLoader())
            _ = try await self.answer(unknown, request("greedy", reward: nil))
        }
    }
}
