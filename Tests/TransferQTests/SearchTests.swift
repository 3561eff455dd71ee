import Foundation
import Testing
import TransferQ
import TransferQTheory

/// Searches that leave work out, against the plain algorithm on tables.
@Suite struct SearchTests {
    static let methods: [(String, [String: ParameterValue])] = [
        ("args", [:]),
        ("cd", ["horizon": 10]),
        ("cd", ["horizon": 2, "rollouts": 6]),
        ("transfer-q", ["horizon": 10]),
        ("transfer-q", ["horizon": 2]),
        ("transfer-q", ["horizon": 3, "tilt": "baseline"]),
        ("transfer-q", ["horizon": 10, "rollouts": 5, "tilt": "baseline"]),
        ("transfer-q-indirect", ["horizon": 10, "rollouts": 4]),
        ("transfer-q-indirect", ["horizon": 10, "rollouts": 1, "rollout-temperature": 0]),
        ("transfer-q-soft", ["horizon": 3, "rollouts": 3]),
        ("transfer-q-soft", ["horizon": 3, "rollouts": 1, "rollout-temperature": 0]),
    ]

    /// Speed-ups switched off, by what is left on.
    static let speeds: [(on: String, off: String)] = [
        ("prune", "reuse,look-ahead"), ("reuse", "prune,look-ahead"), ("look-ahead", "prune,reuse"), ("all", ""),
    ]

    /// Smooth enough for bounds to exclude something, rough enough for the choice to matter.
    static func reward(_ seed: UInt64, hasRange: Bool = true) -> TabularReward {
        TabularReward(name: "smooth", range: hasRange ? 0...1 : nil) { tokens in
            let parts = tokens.enumerated().map {
                Noise(seed: seed).derived($0.offset).derived(Int($0.element)).uniform
            }
            return parts.isEmpty ? 0.5 : parts.reduce(0, +) / Double(parts.count)
        }
    }

    static func task(_ seed: UInt64, reward: TabularReward, length: Int = 6) throws -> DecodingTask {
        func policy(_ salt: UInt64) -> TabularPolicy {
            TabularPolicy.random(
                vocabularySize: 4, maximumLength: length, endToken: 0, spread: 1.5, seed: seed &* 31 &+ salt)
        }
        return try DecodingTask(
            reference: policy(1), baseline: policy(2), reward: reward, baselineReward: Self.reward(seed &+ 500),
            maximumLength: length, seed: seed)
    }

    static func answer(
        _ name: String, _ parameters: [String: ParameterValue], _ task: DecodingTask
    ) async throws -> (tokens: [Token], summary: GenerationSummary, steps: [DecodingStep]) {
        var steps: [DecodingStep] = []
        for try await event in try Generation(task: task, method: DecodingMethods.make(name, parameters).method) {
            switch event {
            case .step(let step): steps.append(step)
            case .finished(let summary): return (steps.flatMap(\.decision.tokens), summary, steps)
            }
        }
        throw CancellationError()
    }

    @Test(arguments: methods.indices)
    func everySpeedUpChoosesTheSameTokens(index: Int) async throws {
        let (name, own) = Self.methods[index]
        var (saved, plainCost) = (0, 0)
        for seed in 0..<60 as Range<UInt64> {
            for hasRange in [true, false] {
                for (choice, alpha) in [("greedy", 0.1), ("sample", 0.4), ("greedy", 1e-9)] {
                    let task = try Self.task(seed, reward: Self.reward(seed, hasRange: hasRange))
                    let parameters = own.merging(["k": 4, "alpha": .number(alpha), "choice": .text(choice)]) { $1 }
                    let plain = try await Self.answer(name, parameters.merging(["without": "all"]) { $1 }, task)
                    plainCost += plain.summary.usage.rolloutTokens + plain.summary.usage.rewardCalls
                    for (on, off) in Self.speeds {
                        let speed: [String: ParameterValue] = off.isEmpty ? [:] : ["without": .text(off)]
                        let fast = try await Self.answer(name, parameters.merging(speed) { $1 }, task)
                        #expect(
                            fast.tokens == plain.tokens, "\(name) \(own) \(choice) \(alpha), \(on) on, seed \(seed)")
                        #expect(fast.summary.reward == plain.summary.reward)
                        if on == "all" {
                            saved +=
                                plain.summary.usage.rolloutTokens + plain.summary.usage.rewardCalls
                                - fast.summary.usage.rolloutTokens - fast.summary.usage.rewardCalls
                        }
                    }
                }
            }
        }
        // Soft values have no range to prune by.
        if name != "transfer-q-soft" { #expect(saved > plainCost / 50, "\(name) \(own): \(saved)") }
    }

    @Test func boundsOfKLHoldAndGreedyChoicesAreExact() async throws {
        var (pruned, slack) = (0, 0.0)
        for seed in 0..<150 as Range<UInt64> {
            let task = try Self.task(seed, reward: Self.reward(seed))
            for choice in ["sample", "greedy"] {
                let parameters: [String: ParameterValue] = [
                    "k": 4, "alpha": 0.4, "horizon": 10, "choice": .text(choice),
                ]
                let plain = try await Self.answer("transfer-q", parameters.merging(["without": "all"]) { $1 }, task)
                let fast = try await Self.answer("transfer-q", parameters, task)
                for (step, other) in zip(fast.steps, plain.steps) {
                    let (bound, kl) = (try #require(step.decision.kl), try #require(other.decision.kl))
                    #expect(step.decision.klKind != .boundOfMethod)
                    #expect((step.decision.klKind == .pointMass) == (choice == "greedy"))
                    if step.decision.klKind == .boundOverSkippedValues {
                        #expect(bound >= kl - 1e-12)
                        pruned += 1
                        slack += bound - kl
                    } else {
                        #expect(abs(bound - kl) < 1e-12)
                    }
                }
            }
        }
        // Bounds that are of use.
        #expect(pruned > 30 && slack / Double(pruned) < 1.5, "\(pruned) \(slack / Double(max(1, pruned)))")
    }

    @Test func certifiedStepsNeedNothing() async throws {
        // α so large that no reward in 0...1 can make up for a difference of probabilities.
        let task = try Self.task(3, reward: Self.reward(3))
        let run = try await Self.answer("transfer-q", ["k": 4, "alpha": 1e6, "choice": "greedy"], task)
        #expect(run.summary.usage.rolloutTokens == 0)
        #expect(run.summary.usage.rewardCalls == 1)
        #expect(run.summary.diagnostics.certifiedShare == 1)
        let plain = try await Self.answer("greedy", [:], task)
        #expect(run.tokens == plain.tokens)
    }

    @Test func aBrokenRangeIsReportedAndItsStepRedone() async throws {
        var broken = 0
        for seed in 0..<40 as Range<UInt64> {
            let task = try Self.task(seed, reward: Self.reward(seed, hasRange: false))
            let parameters: [String: ParameterValue] = ["k": 4, "alpha": 0.3, "horizon": 10, "choice": "greedy"]
            let honest = try await Self.answer("transfer-q", parameters.merging(["reward-range": "0..1"]) { $1 }, task)
            let plain = try await Self.answer("transfer-q", parameters.merging(["without": "all"]) { $1 }, task)
            #expect(honest.tokens == plain.tokens)
            #expect(honest.summary.diagnostics.outsideRange == nil)
            // Far too narrow, so that every step with a value breaks it.
            let narrow = try await Self.answer("transfer-q", parameters.merging(["reward-range": "5..6"]) { $1 }, task)
            if let value = narrow.summary.diagnostics.outsideRange {
                broken += 1
                #expect(!(5...6).contains(value))
            }
            for step in narrow.steps where step.decision.search?.outsideRange != nil {
                #expect(step.decision.search?.evaluated == step.decision.search?.candidates)
            }
        }
        #expect(broken > 20)
    }

    @Test func chancesAreThoseOfStudentsT() {
        // Quantiles from a table.
        for (t, freedom, tail) in [(2.228, 10.0, 0.025), (1.812, 10, 0.05), (2.764, 10, 0.01), (6.314, 1, 0.05)] {
            #expect(abs(StudentT.upperTail(t, freedom: freedom) - tail) < 2e-4)
            #expect(abs(StudentT.upperTail(-t, freedom: freedom) - (1 - tail)) < 2e-4)
        }
        #expect(abs(StudentT.upperTail(1.959964, freedom: 1e6) - 0.025) < 1e-5)
        var model = DifferenceModel()
        #expect(model.chance(above: 1, spread: nil) == 1)
        for index in 0..<400 { model.add(step: [0.2 * Noise(seed: 1).derived(index).gumbel]) }
        let share = Double((0..<4000).count { 0.2 * Noise(seed: 2).derived($0).gumbel > 0.4 }) / 4000
        #expect(abs(model.chance(above: 0.4, spread: nil) - share) < 0.05)
    }

    /// Values drawn as the scale supposes: the chances hold wherever the incumbent stands, close to an end of the range as well.
    @Test func chancesHoldOnTheWholeRange() {
        let scale = ValueScale(range: -3...3, mean: 0, spread: 0.9)
        func bent(_ value: Double) -> Double { 3 * tanh(value / 3) }
        let noise = Noise(seed: 3)
        var model = DifferenceModel()
        var bins = [Int: (count: Double, beaten: Double, expected: Double)]()
        for index in 0..<40_000 {
            let own = noise.derived(index)
            let first = 8 * own.derived(0).uniform - 4
            let normal = (0..<12).reduce(-6) { $0 + own.derived(1 + $1).uniform }
            let (incumbent, value) = (bent(first), bent(0.7 * first + 0.9 * normal))
            model.add(step: [scale.surprise(of: value, beside: incumbent)])
            guard index >= 2000 else { continue }
            let toBeat = incumbent + 2 * own.derived(20).uniform
            guard toBeat < 3 else { continue }
            bins[Int(incumbent.rounded(.down)), default: (0, 0, 0)].count += 1
            bins[Int(incumbent.rounded(.down)), default: (0, 0, 0)].beaten += value > toBeat ? 1 : 0
            bins[Int(incumbent.rounded(.down)), default: (0, 0, 0)].expected += model.chance(
                above: scale.surprise(of: toBeat, beside: incumbent), spread: scale.spread)
        }
        #expect(bins.count == 6)
        for (bin, (count, beaten, expected)) in bins {
            #expect(abs(beaten - expected) < 0.015 * count + 5, "\(bin): \(beaten) of \(count), expected \(expected)")
        }
    }

    @Test func scalesAreFiniteAndKeepTheOrder() {
        let scales = [
            ValueScale(), ValueScale(spread: 0.3), ValueScale(range: 0...1),
            ValueScale(range: 2...2, mean: 2, spread: 1), ValueScale(range: 0...1, mean: 0.4, spread: 0.2),
            ValueScale(mean: 7, spread: 3),
        ]
        for scale in scales {
            let surprises = [-1, 0, 0.2, 0.5, 0.9, 1, 4].map { scale.surprise(of: $0, beside: 1) }
            #expect(surprises.allSatisfy { $0.isFinite } && surprises == surprises.sorted())
            if scale.mean == nil { #expect(surprises[5] == 0) }
        }
        // Above what is typical, less is expected of the others than of the incumbent.
        let scale = ValueScale(mean: 0, spread: 1)
        #expect(scale.surprise(of: 2, beside: 2) > 0 && scale.surprise(of: -2, beside: -2) < 0)
    }

    @Test func confidenceErrsNoMoreOftenThanItSays() async throws {
        var (changed, steps, expected, saved) = (0, 0, 0.0, 0)
        for seed in 0..<400 as Range<UInt64> {
            let task = try Self.task(seed, reward: Self.reward(seed, hasRange: false))
            let parameters: [String: ParameterValue] = ["k": 4, "alpha": 0.2, "horizon": 10, "choice": "greedy"]
            let fast = try await Self.answer("transfer-q", parameters.merging(["confidence": 0.9]) { $1 }, task)
            // What the full search would have chosen at each of its states.
            let plain = try DecodingMethods.make("transfer-q", parameters.merging(["without": "all"]) { $1 }).method
            var response: [Token] = []
            for step in fast.steps {
                let state = DecodingState(task: task, response: response, step: step.index)
                let decision = try await plain.decide(state)
                steps += 1
                changed += decision.tokens == step.decision.tokens ? 0 : 1
                expected += step.decision.search?.expectedError ?? 0
                saved += 4 - (step.decision.search?.evaluated ?? 4)
                response += step.decision.tokens
            }
        }
        #expect(Double(changed) / Double(steps) < 0.1, "\(changed) of \(steps), expected \(expected)")
        #expect(saved > steps / 20, "\(saved) of \(steps)")
        #expect(Double(changed) < 2 * expected + 10)
    }

    @Test func gatesAndRacesDoWhatTheySay() async throws {
        let task = try Self.task(5, reward: Self.reward(5))
        let base: [String: ParameterValue] = ["k": 4, "alpha": 0.2, "horizon": 10, "choice": "greedy"]
        let gated = try await Self.answer("transfer-q", base.merging(["gate-entropy": 100]) { $1 }, task)
        #expect(gated.summary.diagnostics.gatedShare == 1 && gated.summary.usage.rolloutTokens == 0)
        #expect(gated.tokens == (try await Self.answer("greedy", [:], task)).tokens)
        let open = try await Self.answer(
            "transfer-q", base.merging(["gate-entropy": 0, "gate-probability": 1]) { $1 }, task)
        #expect(open.summary.diagnostics.gatedShare == 0)
        #expect(open.tokens == (try await Self.answer("transfer-q", base, task)).tokens)
        for step in try await Self.answer("transfer-q", base.merging(["gate-probability": 0.6]) { $1 }, task).steps {
            let first = step.decision.candidates.map(\.logProbability).max() ?? 0
            #expect(step.decision.search?.isGated == (exp(first) >= 0.6))
        }
        var (raced, full) = (0, 0)
        for seed in 0..<50 as Range<UInt64> {
            let task = try Self.task(seed, reward: Self.reward(seed), length: 7)
            let parameters = base.merging(["without": "prune,look-ahead"]) { $1 }
            full += try await Self.answer("transfer-q", parameters, task).summary.usage.rolloutTokens
            raced += try await Self.answer("transfer-q", parameters.merging(["race": "on"]) { $1 }, task)
                .summary.usage.rolloutTokens
        }
        #expect(raced < full)
    }

    @Test func budgetsEndAnswersWithWhatThereIs() async throws {
        let parameters: [String: ParameterValue] = [
            "k": 4, "alpha": 5, "horizon": 10, "choice": "sample", "without": "all",
        ]
        var seed: UInt64 = 0
        var task = try Self.task(seed, reward: Self.reward(5, hasRange: false), length: 7)
        var whole = try await Self.answer("transfer-q", parameters, task)
        while whole.tokens.count < 4, seed < 100 {
            seed += 1
            task = try Self.task(seed, reward: Self.reward(5, hasRange: false), length: 7)
            whole = try await Self.answer("transfer-q", parameters, task)
        }
        try #require(whole.tokens.count >= 4)
        task.budget = try DecodingTask.Budget(tokens: whole.steps[0].decision.usage.rolloutTokens + 1)
        let cut = try await Self.answer("transfer-q", parameters, task)
        #expect(cut.summary.finishReason == .budget)
        #expect(cut.tokens.count < whole.tokens.count && !cut.tokens.isEmpty)
        #expect(cut.tokens == Array(whole.tokens.prefix(cut.tokens.count)))
        #expect(cut.summary.reward != nil)
        task.budget = try DecodingTask.Budget(seconds: 1e-9)
        #expect((try await Self.answer("transfer-q", parameters, task)).summary.finishReason == .budget)
        for (seconds, tokens) in [(0.0, nil), (-1, nil), (.nan, nil), (nil, 0)] as [(Double?, Int?)] {
            #expect(throws: TransferQError.self) { try DecodingTask.Budget(seconds: seconds, tokens: tokens) }
        }
    }
}
