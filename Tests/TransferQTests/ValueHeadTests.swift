import Testing
import TransferQ
import TransferQTheory

/// Value heads in place of rollouts, on tables.
@Suite struct ValueHeadTests {
    /// A table whose hidden state is the text itself.
    private final class StatePolicy: InProcessPolicy {
        let table: TabularPolicy

        init(_ table: TabularPolicy) { self.table = table }

        var tokenizer: any Tokenizer { table.tokenizer }
        var maximumResponseLength: Int { table.maximumResponseLength }
        var promptLength: Int { 0 }

        func propose(_ request: ProposalRequest) async throws -> [Candidate] {
            try await table.propose(request)
        }

        func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
            try await table.score(continuations, after: response)
        }

        func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] { try await table.rollOut(request) }

        func read(_ continuations: [Continuation], after response: [Token]) async throws -> [Reading] {
            continuations.map { continuation in
                let text = (response + continuation.prefix + continuation.tokens).map { Float($0) }
                let state = PooledState(source: .init(weights: "table", prompt: []), last: text, mean: text)
                return Reading(logProbability: 0, state: state)
            }
        }
    }

    /// Knows what the greedy rollout of a table comes to.
    private struct Oracle: ValueHead {
        let table: TabularPolicy
        let reward: @Sendable ([Token]) -> Double

        var name: String { "oracle" }
        var range: ClosedRange<Double> { 0...1 }
        var differenceSpread: Double { 0.1 }

        func value(of state: PooledState) -> Double {
            var text = state.last.map { Token($0) }
            // A finished text has no row.
            while text.count < table.maximumResponseLength, let row = try? table.logRow(after: text) {
                text.append(Token(row.indices.max { row[$0] < row[$1] } ?? 0))
            }
            return reward(text)
        }
    }

    private static func reward(_ tokens: [Token]) -> Double {
        let parts = tokens.enumerated().map { Noise(seed: 9).derived($0.offset).derived(Int($0.element)).uniform }
        return parts.isEmpty ? 0.5 : parts.reduce(0, +) / Double(parts.count)
    }

    private static func answer(
        _ task: DecodingTask, _ parameters: [String: ParameterValue]
    ) async throws -> (tokens: [Token], summary: GenerationSummary) {
        let method = try DecodingMethods.make("transfer-q", parameters).method
        var tokens: [Token] = []
        for try await event in try Generation(task: task, method: method) {
            switch event {
            case .step(let step): tokens += step.decision.tokens
            case .finished(let summary): return (tokens, summary)
            }
        }
        throw CancellationError()
    }

    @Test(arguments: ["reference", "baseline"], ["greedy", "sample"])
    func aHeadThatKnowsTheValuesChoosesWhatRolloutsDo(tilt: String, choice: String) async throws {
        var evaluated = 0.0
        for seed in 0..<40 as Range<UInt64> {
            func table(_ salt: UInt64) -> TabularPolicy {
                TabularPolicy.random(
                    vocabularySize: 4, maximumLength: 6, endToken: 0, spread: 1.5, seed: seed &* 31 &+ salt)
            }
            let (reference, baseline) = (table(1), table(2))
            let parameters: [String: ParameterValue] = [
                "k": 4, "alpha": 0.5, "horizon": 10, "tilt": .text(tilt), "choice": .text(choice),
            ]
            let reward = TabularReward(name: "smooth", range: 0...1) { Self.reward($0) }
            let rolled = try await Self.answer(
                DecodingTask(reference: reference, baseline: baseline, reward: reward, maximumLength: 6, seed: seed),
                parameters.merging(["without": "all"]) { $1 })
            // Without a reward: the head is all that is needed.
            var task = try DecodingTask(
                reference: StatePolicy(reference), baseline: StatePolicy(baseline), maximumLength: 6, seed: seed)
            task.valueHead = Oracle(table: baseline) { Self.reward($0) }
            let valued = try await Self.answer(task, parameters)
            #expect(valued.tokens == rolled.tokens, "\(tilt) \(choice) \(seed)")
            #expect(valued.summary.usage.rolloutTokens == 0 && valued.summary.usage.rewardCalls == 0)
            #expect(valued.summary.usage.readTokens > 0 || valued.summary.diagnostics.certifiedShare == 1)
            #expect(valued.summary.reward == nil)
            evaluated += try #require(valued.summary.diagnostics.evaluatedCandidates)
        }
        // Bounds leave candidates out here as well.
        #expect(evaluated < 3.5 * 40)
    }

    @Test func policiesWithoutStatesAreNamed() async throws {
        let table = TabularPolicy.random(vocabularySize: 3, maximumLength: 3, endToken: 0, seed: 1)
        var task = try DecodingTask(reference: table, maximumLength: 3)
        task.valueHead = Oracle(table: table) { Self.reward($0) }
        await #expect(throws: TransferQError.noStates(valueHead: "oracle")) {
            try await Self.answer(task, ["k": 3, "without": "all"])
        }
    }

    @Test func exclusiveRewardsAreAskedOneAtATime() async throws {
        actor Counter {
            private var now = 0
            private(set) var most = 0
            func enter() {
                now += 1
                most = max(most, now)
            }
            func leave() { now -= 1 }
        }
        struct Slow: RewardModel {
            let counter: Counter
            var name: String { "slow" }
            var range: ClosedRange<Double>? { 0...9 }
            func rewards(for completions: [Completion]) async throws -> [Double] {
                await counter.enter()
                try await Task.sleep(for: .milliseconds(2))
                await counter.leave()
                return completions.map { Double($0.tokens.count) }
            }
        }
        let counter = Counter()
        let reward = ExclusiveReward(Slow(counter: counter))
        #expect(reward.name == "slow" && reward.range == 0...9)
        let rewards = try await withThrowingTaskGroup(of: Double.self) { group in
            for length in 0..<10 {
                group.addTask {
                    let tokens = [Token](repeating: 1, count: length)
                    let text = Completion(conversation: [], text: "", tokens: tokens, isFinished: true)
                    return try await reward.scores(for: [text])[0].reward
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted()
        }
        #expect(rewards == (0..<10).map(Double.init))
        #expect(await counter.most == 1)
    }
}
