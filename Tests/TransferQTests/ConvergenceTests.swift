import Foundation
import Testing
import TransferQ
import TransferQTheory

/// The decoder on tables against the exact solver: sampled values converge, decoded responses follow the distribution.
@Suite struct ConvergenceTests {
    static let instance = make(vocabularySize: 3, seed: 21)
    /// With 21 prefixes that leave something to roll out.
    static let wide = make(vocabularySize: 5, seed: 22)

    private static func make(vocabularySize: Int, seed: UInt64) -> TabularInstance {
        do {
            return try TabularInstance.random(vocabularySize: vocabularySize, maximumLength: 4, seed: seed)
        } catch { preconditionFailure("\(error)") }
    }

    /// An instance as a task: the reference, a baseline given by its rows, both rewards.
    static func task(
        _ instance: TabularInstance = instance, baselineRows: [[Double]], seed: UInt64 = 0
    ) throws -> DecodingTask {
        let reference = TabularPolicy(tree: instance.tree, logRows: instance.logReference)
        let baseline = TabularPolicy(tree: instance.tree, logRows: baselineRows)
        return try DecodingTask(
            reference: reference, baseline: baseline, reward: TabularReward.target(of: instance),
            baselineReward: TabularReward.baseline(of: instance), maximumLength: instance.tree.maximumLength,
            seed: seed)
    }

    /// Values from a table, as a step's exact answer.
    struct ExactValues: ValueEstimator {
        let values: [[Token]: [Double]]

        init(_ rows: [[Double]]) {
            values = Dictionary(uniqueKeysWithValues: zip(ConvergenceTests.instance.tree.prefixes, rows))
        }

        func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
            let row = try #require(values[state.response])
            return ValueEstimates(estimates: candidates.map { ValueEstimate(value: row[Int($0[0])]) })
        }
    }

    static let names = ["cd", "transfer-q", "transfer-q-indirect", "transfer-q-indirect implicit", "transfer-q-soft"]

    @Test(arguments: names)
    func sampledValuesConvergeToTheExactOnes(name: String) async throws {
        let instance = Self.wide
        let solver = ExactSolver(instance)
        let reward = instance.reward
        let (rows, exact): ([[Double]], [[Double]]) =
            switch name {
            case "cd": (solver.optimalRows, solver.values(of: instance.logReference, reward: reward))
            case "transfer-q": (solver.optimalRows, solver.values(of: solver.optimalRows, reward: reward))
            case "transfer-q-soft": (solver.baselineRows, ExactSolver.softValues(instance, reward: reward))
            default: (solver.baselineRows, solver.values(of: solver.optimalRows, reward: reward))
            }
        var task = try Self.task(instance, baselineRows: rows)
        if name.hasSuffix("implicit") {
            task = try DecodingTask(
                reference: task.reference, baseline: task.baseline, reward: task.reward,
                maximumLength: task.maximumLength)
        }
        var parameters: [String: ParameterValue] = ["k": 2, "rollouts": 20_000, "horizon": 10]
        if name.contains("indirect") || name.contains("soft") { parameters["beta"] = .number(instance.beta) }
        let method = try DecodingMethods.make(name.split(separator: " ").map(String.init)[0], parameters).method
        let nodes = Array(instance.tree.prefixes.indices.prefix(20))
        var compared = 0
        for node in nodes {
            let response = instance.tree.prefixes[node]
            let decision = try await method.decide(
                DecodingState(task: task, response: response, step: node))
            for candidate in decision.candidates {
                let value = try #require(candidate.value)
                let expected = exact[node][Int(candidate.tokens[0])]
                let error = Self.standardError(candidate, beta: instance.beta, isSoft: name == "transfer-q-soft")
                #expect(abs(value - expected) <= 4 * error + 1e-9, "\(response) \(candidate.tokens)")
                if error > 0 { compared += 1 }
            }
        }
        #expect(compared >= 20)
    }

    /// Of a mean, a ratio of means, or β times the logarithm of a mean, by the delta method.
    private static func standardError(_ candidate: ScoredCandidate, beta: Double, isSoft: Bool) -> Double {
        let rollouts = candidate.rollouts
        guard rollouts.count > 1, let value = candidate.value else { return 0 }
        let top = rollouts.compactMap(\.logWeight).max() ?? 0
        let weights = rollouts.map { exp(($0.logWeight ?? 0) - top) }
        let count = Double(rollouts.count)
        let mean = weights.reduce(0, +) / count
        let squares = zip(weights, rollouts).reduce(0) { sum, pair in
            let deviation = isSoft ? beta * (pair.0 - mean) : pair.0 * (pair.1.reward - value)
            return sum + deviation * deviation
        }
        return (squares / count).squareRoot() / (mean * count.squareRoot())
    }

    static let decoded = [
        "reference", "args", "cd", "transfer-q", "transfer-q@reference", "transfer-q-naive", "transfer-q-indirect",
        "transfer-q-soft", "best-of-n",
    ]

    @Test(arguments: decoded)
    func decodedResponsesFollowTheOracle(name: String) async throws {
        let instance = Self.instance
        let solver = ExactSolver(instance)
        let exact = try #require(solver.methods()[name])
        let guidance = try Guidance(
            k: instance.tree.vocabularySize, alpha: instance.alpha,
            tilt: name == "transfer-q" ? .baseline : .reference)
        func steered(_ values: [[Double]]) -> any DecodingMethod {
            SteeredDecoding(guidance: guidance, estimator: ExactValues(values))
        }
        let all = ParameterValue.integer(instance.tree.vocabularySize)
        let (alpha, beta) = (ParameterValue.number(instance.alpha), ParameterValue.number(instance.beta))
        let direct = solver.values(of: solver.optimalRows, reward: instance.reward)
        let method: any DecodingMethod =
            switch name {
            case "reference": try DecodingMethods.make("sample").method
            // These two are exact as users run them: ARGS needs no rollouts, and one rollout of ρ_r^β is the soft value.
            case "args": try DecodingMethods.make("args", ["k": all, "alpha": alpha, "choice": "sample"]).method
            case "transfer-q-soft":
                try DecodingMethods.make(
                    name, ["k": all, "alpha": alpha, "beta": beta, "rollouts": 1, "horizon": 10, "choice": "sample"]
                ).method
            case "best-of-n": try DecodingMethods.make(name, ["n": .integer(try #require(instance.bestOf))]).method
            case "cd": steered(solver.values(of: instance.logReference, reward: instance.reward))
            case "transfer-q-naive": steered(solver.values(of: solver.baselineRows, reward: instance.reward))
            case "transfer-q-indirect":
                steered(solver.correctedValues(baselineReward: try #require(instance.baselineReward)))
            default: steered(direct)
            }
        let places = Dictionary(uniqueKeysWithValues: zip(instance.tree.responses, instance.tree.responses.indices))
        var counts = [Int](repeating: 0, count: places.count)
        for seed in 0..<20_000 as Range<UInt64> {
            let task = try Self.task(baselineRows: solver.optimalRows, seed: seed)
            var iterator = try Generation(task: task, method: method).makeAsyncIterator()
            var tokens: [Token] = []
            while case .step(let step)? = try await iterator.next() { tokens += step.decision.tokens }
            counts[try #require(places[tokens])] += 1
        }
        #expect(ChiSquare.accepts(counts: counts, probabilities: exact.logResponses.map { exp($0) }))
    }

    @Test func klBudgetIsKept() async throws {
        let solver = ExactSolver(Self.instance)
        for budget in [0, 0.05, 0.5, 100] {
            var spent = 0.0
            for seed in 0..<50 as Range<UInt64> {
                let method = try DecodingMethods.make(
                    "transfer-q", ["k": 2, "alpha": 0.01, "horizon": 10, "kl-budget": .number(budget)])
                let task = try Self.task(baselineRows: solver.optimalRows, seed: seed)
                for try await event in try Generation(task: task, method: method.method) {
                    if case .finished(let summary) = event {
                        let kl = try #require(summary.kl)
                        #expect(kl <= budget + 1e-9)
                        spent = max(spent, kl)
                    }
                    if case .step(let step) = event { #expect(try #require(step.decision.alpha) >= 0.01) }
                }
            }
            // The budget is used, not only kept.
            if budget == 0.5 { #expect(spent > 0.25) }
            if budget == 100 { #expect(spent > 1) }
        }
    }

    @Test func blocksAreChosenByTheirValues() async throws {
        let solver = ExactSolver(Self.instance)
        var rewards: [String: Double] = [:]
        for (label, alpha) in [("loose", 1e6), ("tight", 0.02)] {
            for seed in 0..<300 as Range<UInt64> {
                let method = try DecodingMethods.make(
                    "transfer-q", ["k": 8, "alpha": .number(alpha), "horizon": 10, "blockwise": 2, "choice": "sample"])
                let task = try Self.task(baselineRows: solver.optimalRows, seed: seed)
                for try await event in try Generation(task: task, method: method.method) {
                    switch event {
                    case .step(let step):
                        #expect(step.decision.candidates.count == 8)
                        #expect(step.decision.tokens.count <= 2)
                        #expect(step.decision.klKind == .boundOfMethod)
                    case .finished(let summary):
                        rewards[label, default: 0] += try #require(summary.reward) / 300
                        #expect(try #require(summary.kl) <= 2 * log(8) + 1e-9)
                    }
                }
            }
        }
        let plain = try #require(solver.methods()["reference"]).expectedReward
        #expect(abs(try #require(rewards["loose"]) - plain) < 0.06)
        #expect(try #require(rewards["tight"]) > plain + 0.1)
    }

    @Test func summariesRewardTheWholeResponseItsEndIncluded() async throws {
        let instance = Self.instance
        let rewards = Dictionary(uniqueKeysWithValues: zip(instance.tree.responses, instance.reward))
        var ended = 0
        for seed in 0..<40 as Range<UInt64> {
            let task = try Self.task(baselineRows: ExactSolver(instance).optimalRows, seed: seed)
            var tokens: [Token] = []
            for try await event in try Generation(task: task, method: DecodingMethods.make("sample").method) {
                switch event {
                case .step(let step): tokens += step.decision.tokens
                case .finished(let summary):
                    #expect(summary.reward == rewards[tokens])
                    #expect(summary.usage.scoredTokens == tokens.count)
                    if summary.finishReason == .stop { ended += 1 }
                }
            }
        }
        #expect(ended > 5)
    }

    @Test func indirectWithTheSameRewardIsDirect() async throws {
        let solver = ExactSolver(Self.instance)
        for seed in 0..<50 as Range<UInt64> {
            let base = try Self.task(baselineRows: solver.baselineRows, seed: seed)
            let task = try DecodingTask(
                reference: base.reference, baseline: base.baseline, reward: base.reward, baselineReward: base.reward,
                maximumLength: base.maximumLength, seed: seed)
            var answers: [[Token]] = []
            for name in ["transfer-q", "transfer-q-indirect"] {
                let method = try DecodingMethods.make(
                    name, ["k": 3, "alpha": 0.2, "rollouts": 4, "rollout-temperature": 1, "choice": "sample"])
                for try await event in try Generation(task: task, method: method.method) {
                    if case .finished(let summary) = event { answers.append(summary.tokens) }
                }
            }
            #expect(answers[0] == answers[1])
        }
    }

    @Test func methodsSayWhatTheyLose() throws {
        let task = try Self.task(baselineRows: ExactSolver(Self.instance).baselineRows)
        func warnings(_ name: String, _ parameters: [String: ParameterValue] = [:]) throws -> String {
            try DecodingMethods.make(name, parameters).method.warnings(for: task).joined()
        }
        #expect(try warnings("transfer-q-indirect").isEmpty)
        #expect(try warnings("transfer-q-indirect", ["rollouts": 1]).contains("the weight cancels"))
        #expect(
            try warnings("transfer-q-indirect", ["rollouts": 1, "rollout-temperature": 0]).contains("no draws"))
        #expect(try warnings("transfer-q").isEmpty)
        let uncorrectable = try DecodingTask(reference: task.reference, reward: task.reward, maximumLength: 2)
        let indirect = try DecodingMethods.make("transfer-q-indirect").method.warnings(for: uncorrectable)
        #expect(indirect.joined().contains("nothing to correct"))
        let alone = try DecodingTask(reference: task.reference, reward: task.reward, maximumLength: 2)
        #expect(try !DecodingMethods.make("transfer-q").method.warnings(for: alone).isEmpty)
    }
}
