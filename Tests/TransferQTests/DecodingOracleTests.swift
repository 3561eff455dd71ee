import Foundation
import Testing
import TransferQ
import TransferQTheory

/// The decoding loop against enumeration, on tables small enough for it.
@Suite struct DecodingOracleTests {
    static let endToken: Token = 0

    static func task(
        reward: TabularReward = .random(seed: 4), seed: UInt64 = 0, length: Int = 4, baseline: Bool = true
    ) throws -> DecodingTask {
        let reference = TabularPolicy.random(
            vocabularySize: 4, maximumLength: length, endToken: endToken, seed: 1)
        let other = TabularPolicy.random(vocabularySize: 4, maximumLength: length, endToken: endToken, seed: 2)
        return try DecodingTask(
            reference: reference, baseline: baseline ? other : nil, reward: reward, maximumLength: length, seed: seed)
    }

    /// Every response the method can give, with its probability, the sum of the steps' KL along it, and its
    /// probability under the reference: from the method's own decisions at every state.
    static func enumerate(
        _ method: any DecodingMethod, _ task: DecodingTask
    ) async throws -> [[Token]: (log: Double, kl: Double, logReference: Double)] {
        var result: [[Token]: (log: Double, kl: Double, logReference: Double)] = [:]
        var open: [(response: [Token], log: Double, kl: Double, logReference: Double)] = [([], 0, 0, 0)]
        while let (response, log, kl, logReference) = open.popLast() {
            let state = DecodingState(task: task, response: response, step: response.count)
            let decision = try await method.decide(state)
            let stepKL = try #require(decision.kl)
            for candidate in decision.candidates where candidate.probability > 0 {
                let next = (
                    response: response + candidate.tokens, log: log + Foundation.log(candidate.probability),
                    kl: kl + stepKL, logReference: logReference + candidate.logProbability
                )
                if candidate.tokens == [endToken] || next.response.count == task.maximumLength {
                    result[next.response] = (next.log, next.kl, next.logReference)
                } else {
                    open.append(next)
                }
            }
        }
        return result
    }

    static let deterministicMethods: [(String, [String: ParameterValue])] = [
        ("transfer-q", ["k": 4, "alpha": 0.2, "horizon": 10, "choice": "sample"]),
        ("transfer-q", ["k": 4, "alpha": 0.2, "horizon": 10, "tilt": "baseline", "choice": "sample"]),
        ("transfer-q", ["k": 2, "alpha": 1, "horizon": 2, "choice": "sample"]),
        ("transfer-q", ["k": 4, "alpha": 0.3, "horizon": 10, "temperature": 0.6]),
        ("sample", [:]),
        ("sample", ["temperature": 0.6, "top-p": 0.9]),
        ("sample", ["policy": "baseline"]),
    ]

    /// The plain algorithm, which looks at every candidate and so tells its whole distribution.
    static func plain(_ name: String, _ parameters: [String: ParameterValue]) throws -> any DecodingMethod {
        let without: [String: ParameterValue] = name == "sample" ? [:] : ["without": "all"]
        return try DecodingMethods.make(name, parameters.merging(without) { own, _ in own }).method
    }

    @Test(arguments: deterministicMethods.indices)
    func reportedKLEqualsEnumeratedKL(index: Int) async throws {
        let (name, parameters) = Self.deterministicMethods[index]
        let method = try Self.plain(name, parameters)
        let responses = try await Self.enumerate(method, Self.task())
        let total = responses.values.reduce(0) { $0 + exp($1.log) }
        #expect(abs(total - 1) < 1e-9)
        // Σ ρ(y) Σ_t KL_t  =  Σ ρ(y) log(ρ(y) / ρ_sft(y))
        let reported = responses.values.reduce(0) { $0 + exp($1.log) * $1.kl }
        let enumerated = responses.values.reduce(0) { $0 + exp($1.log) * ($1.log - $1.logReference) }
        #expect(abs(reported - enumerated) < 1e-9)
        if name != "sample" { #expect(enumerated > 0.01) }
    }

    @Test(arguments: deterministicMethods.indices)
    func decodedResponsesFollowTheEnumeratedDistribution(index: Int) async throws {
        let (name, parameters) = Self.deterministicMethods[index]
        let method = try DecodingMethods.make(name, parameters).method
        let task = try Self.task()
        let exact = try await Self.enumerate(try Self.plain(name, parameters), task)
        let keys = exact.keys.sorted { $0.lexicographicallyPrecedes($1) }
        var counts: [[Token]: Int] = [:]
        for seed in 0..<5000 as Range<UInt64> {
            let task = try DecodingTask(
                reference: task.reference, baseline: task.baseline, reward: task.reward,
                maximumLength: task.maximumLength, seed: seed)
            var tokens: [Token] = []
            for try await event in try Generation(task: task, method: method) {
                if case .step(let step) = event { tokens += step.decision.tokens }
            }
            counts[tokens, default: 0] += 1
        }
        #expect(counts.keys.allSatisfy { exact[$0] != nil })
        #expect(
            ChiSquare.accepts(
                counts: keys.map { counts[$0] ?? 0 }, probabilities: keys.map { exp(exact[$0]?.log ?? -.infinity) }))
    }

    /// π_α(z) ∝ π_tilt(z)^(1/T)·exp(Q/α); with a boundless α the policy at that temperature.
    @Test func temperatureSharpensTheTiltedPolicy() async throws {
        let task = try Self.task()
        let method = try DecodingMethods.make(
            "transfer-q", ["k": 4, "alpha": 1e9, "horizon": 10, "temperature": 0.5, "without": "all"]
        ).method
        let decision = try await method.decide(DecodingState(task: task))
        let squares = decision.candidates.map { exp(2 * $0.logProbability) }
        for (candidate, square) in zip(decision.candidates, squares) {
            #expect(abs(candidate.probability - square / squares.reduce(0, +)) < 1e-6)
        }
        #expect(decision.candidates.count == 4)
    }

    @Test func rolloutMeanConvergesToTheExactValue() async throws {
        let task = try Self.task()
        let reward = try #require(task.reward)
        let method = try DecodingMethods.make(
            "transfer-q", ["k": 4, "alpha": 1, "horizon": 10, "rollouts": 20_000, "without": "all"]
        ).method
        for response in [[], [1], [2, 3]] as [[Token]] {
            let decision = try await method.decide(DecodingState(task: task, response: response, step: 0))
            for candidate in decision.candidates {
                let (mean, square) = try await Self.exactValue(
                    after: response + candidate.tokens, task: task, reward: reward)
                let error = (max(0, square - mean * mean) / 20_000).squareRoot()
                let value = try #require(candidate.value)
                #expect(abs(value - mean) <= 4 * error + 1e-12)
            }
        }
    }

    /// E[r] and E[r²] over the baseline's continuations.
    private static func exactValue(
        after response: [Token], task: DecodingTask, reward: any RewardModel
    ) async throws -> (Double, Double) {
        if response.last == endToken || response.count == task.maximumLength {
            let completion = Completion(conversation: [], text: "", tokens: response, isFinished: true)
            let value = try await reward.rewards(for: [completion])[0]
            return (value, value * value)
        }
        var sums = (0.0, 0.0)
        for candidate in try await task.baseline.propose(after: response, count: 4) {
            let part = try await exactValue(after: response + [candidate.token], task: task, reward: reward)
            let probability = exp(candidate.logProbability)
            sums = (sums.0 + probability * part.0, sums.1 + probability * part.1)
        }
        return sums
    }

    @Test func greedyTakesTheMostLikelyTokens() async throws {
        let task = try Self.task()
        let summary = try await Self.summary("greedy", [:], task)
        var expected: [Token] = []
        var log = 0.0
        while expected.count < task.maximumLength {
            let top = try await task.reference.propose(after: expected, count: 1)[0]
            log += top.logProbability
            if top.token == Self.endToken { break }
            expected.append(top.token)
        }
        #expect(summary.tokens == expected)
        #expect(abs(try #require(summary.kl) + log) < 1e-12)
    }

    @Test func bestOfNKeepsTheBestAndBoundsItsKL() async throws {
        let task = try Self.task()
        let one = try await Self.summary("best-of-n", ["n": 1], task)
        let many = try await Self.summary("best-of-n", ["n": 64], task)
        #expect(try #require(many.reward) >= #require(one.reward))
        #expect(one.kl == 0)
        #expect(abs(try #require(many.kl) - (log(64) - 63.0 / 64)) < 1e-12)
        #expect(many.klKind == .boundOfMethod)
        // The frequency of each response agrees with n draws from the reference, of which the best is kept.
        let exact = try await Self.enumerate(DecodingMethods.make("sample").method, task)
        let rewarded = try await Self.rewarded(exact, task)
        var counts = [Int](repeating: 0, count: rewarded.count)
        for seed in 0..<4000 as Range<UInt64> {
            let decision = try await DecodingMethods.make("best-of-n", ["n": 3]).method
                .decide(DecodingState(task: Self.task(seed: seed)))
            counts[try #require(rewarded.firstIndex { $0.tokens == decision.tokens })] += 1
        }
        // P(best ≤ r) = P(one ≤ r)³ with the responses in order of reward.
        var below = 0.0
        let probabilities = rewarded.map { entry in
            let start = below
            below += entry.probability
            return pow(below, 3) - pow(start, 3)
        }
        #expect(ChiSquare.accepts(counts: counts, probabilities: probabilities))
    }

    private static func rewarded(
        _ responses: [[Token]: (log: Double, kl: Double, logReference: Double)], _ task: DecodingTask
    ) async throws -> [(tokens: [Token], probability: Double)] {
        let keys = Array(responses.keys)
        let completions = keys.map { Completion(conversation: [], text: "", tokens: $0, isFinished: true) }
        let rewards = try await #require(task.reward).rewards(for: completions)
        return zip(keys, rewards).sorted { $0.1 < $1.1 }.map { key, _ in (key, exp(responses[key]?.log ?? 0)) }
    }

    @Test func usageAddsUp() async throws {
        let task = try Self.task()
        let summary = try await Self.summary(
            "transfer-q", ["k": 3, "horizon": 2, "alpha": 0.1, "without": "all"], task)
        var rollouts = 0
        var rewards = 1
        var scored = summary.tokens.count + (summary.finishReason == .stop ? 1 : 0)
        var completion = 0
        var kl = 0.0
        let method = try DecodingMethods.make("transfer-q", ["k": 3, "horizon": 2, "alpha": 0.1, "without": "all"])
            .method
        for try await event in try Generation(task: task, method: method) {
            guard case .step(let step) = event else { continue }
            #expect(step.decision.candidates.count == 3)
            let prefix = completion
            // Equal texts are scored once.
            var texts: Set<[Token]> = []
            for candidate in step.decision.candidates {
                for rollout in candidate.rollouts {
                    rollouts += rollout.rollout.tokens.count
                    guard texts.insert(candidate.tokens + rollout.rollout.tokens).inserted else { continue }
                    rewards += 1
                    scored += prefix + 1 + rollout.rollout.tokens.count
                    #expect(prefix + 1 + rollout.rollout.tokens.count <= task.maximumLength)
                }
            }
            completion += step.decision.tokens.count
            kl += try #require(step.decision.kl)
        }
        #expect(summary.usage.rolloutTokens == rollouts)
        #expect(summary.usage.rewardCalls == rewards)
        #expect(summary.usage.scoredTokens == scored)
        #expect(summary.usage.completionTokens == completion)
        #expect(abs(try #require(summary.kl) - kl) < 1e-12)
    }

    @Test func rewardsThatLieAreNamed() async throws {
        let cases: [(TabularReward, TransferQError)] = [
            (
                TabularReward(name: "bad") { _ in .nan },
                .rewardNotFinite(reward: "bad", value: "nan", text: "1 ")
            ),
            (
                TabularReward(name: "wide", range: 0...1) { _ in 7 },
                .rewardOutsideRange(reward: "wide", value: 7, range: 0...1)
            ),
        ]
        for (reward, expected) in cases {
            let error = await #expect(throws: TransferQError.self) {
                _ = try await reward.checkedRewards(for: [
                    Completion(conversation: [], text: "1 ", tokens: [1], isFinished: false)
                ])
            }
            #expect(error == expected)
        }
    }

    @Test func cancellationEndsTheStreamAndKeepsWhatThereIs() async throws {
        let task = try Self.task()
        let method = try DecodingMethods.make("sample").method
        let result = await Task {
            var iterator = try Generation(task: task, method: method).makeAsyncIterator()
            withUnsafeCurrentTask { $0?.cancel() }
            var sawCancellation = false
            do { _ = try await iterator.next() } catch is CancellationError { sawCancellation = true }
            return (sawCancellation, try await iterator.summary(.cancelled))
        }.result
        let (sawCancellation, summary) = try result.get()
        #expect(sawCancellation)
        #expect(summary.finishReason == .cancelled)
        #expect(summary.tokens.isEmpty)
    }

    static func summary(
        _ name: String, _ parameters: [String: ParameterValue], _ task: DecodingTask
    ) async throws -> GenerationSummary {
        for try await event in try Generation(task: task, method: DecodingMethods.make(name, parameters).method) {
            if case .finished(let summary) = event { return summary }
        }
        throw CancellationError()
    }
}
