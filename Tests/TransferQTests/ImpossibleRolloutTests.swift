import Foundation
import Testing
import TransferQ
import TransferQTheory

/// Rollouts that the reference rules out, whose log-ratio is −∞.
@Suite(.timeLimit(.minutes(1))) struct ImpossibleRolloutTests {
    static let length = 5

    /// A table in which a good part of the tokens is impossible, never all of a row.
    static func holed(_ seed: UInt64, share: Double = 0.45) -> TabularPolicy {
        let tokenizer = TabularTokenizer(size: 4, endToken: 0)
        var rows: [[Token]: [Double]] = [:]
        var open: [[Token]] = [[]]
        while let prefix = open.popLast() {
            let noise = prefix.reduce(Noise(seed: seed)) { $0.derived(Int($1)) }
            var row = (0..<4).map { exp(noise.derived($0).gumbel) }
            let kept = Int(noise.derived(-1).uniform * 4)
            for token in 0..<4 where token != kept && noise.derived(-2 - token).uniform < share { row[token] = 0 }
            let sum = row.reduce(0, +)
            rows[prefix] = row.map { $0 / sum }
            if prefix.count + 1 < length { open += (1..<4).map { prefix + [$0] } }
        }
        return TabularPolicy(tokenizer: tokenizer, maximumLength: length, rows: rows)
    }

    static func task(_ seed: UInt64, hasRange: Bool = true, share: Double = 0.45) throws -> DecodingTask {
        let baseline = TabularPolicy.random(
            vocabularySize: 4, maximumLength: length, endToken: 0, spread: 0.7, seed: seed &+ 900)
        return try DecodingTask(
            reference: holed(seed, share: share), baseline: baseline,
            reward: SearchTests.reward(seed, hasRange: hasRange), maximumLength: length, seed: seed)
    }

    static let methods: [(String, [String: ParameterValue])] = [
        ("transfer-q-indirect", ["rollouts": 2]), ("transfer-q-indirect", ["rollouts": 3, "tilt": "baseline"]),
        ("transfer-q-soft", ["rollouts": 2]),
        ("transfer-q-soft", ["rollouts": 1, "rollout-temperature": 0]),
    ]

    static let extras: [[String: ParameterValue]] = [
        [:], ["choice": "greedy"], ["clip": 5], ["clip": 0.3, "choice": "greedy"], ["kl-budget": 2],
        ["blockwise": 2, "clip": 5], ["confidence": 0.9], ["race": "on"],
    ]

    @Test(arguments: methods.indices, extras.indices)
    func everyAnswerGoesOn(method: Int, extra: Int) async throws {
        let (name, own) = Self.methods[method]
        let common: [String: ParameterValue] = ["k": 4, "alpha": 0.3, "horizon": 5, "choice": "sample"]
        let parameters = common.merging(own) { $1 }.merging(Self.extras[extra]) { $1 }
        let isExact = parameters["confidence"] == nil && parameters["race"] == nil && parameters["blockwise"] == nil
        var impossible = 0
        for seed in 0..<60 as Range<UInt64> {
            let task = try Self.task(seed, hasRange: seed % 2 == 0)
            let answer = try await SearchTests.answer(name, parameters, task)
            #expect(!answer.tokens.isEmpty)
            for step in answer.steps {
                let dead = step.decision.candidates.filter(Self.isImpossible)
                impossible += dead.count
                #expect(dead.allSatisfy { $0.value == nil })
                // They rank last: chosen only where nothing else is there.
                let alive = step.decision.candidates.filter { candidate in
                    !candidate.rollouts.isEmpty && !Self.isImpossible(candidate)
                        && (candidate.logProbability > -.infinity || parameters["tilt"] == "baseline")
                }
                guard !alive.isEmpty else { continue }
                #expect(dead.allSatisfy { $0.probability == 0 && $0.tokens != step.decision.tokens })
            }
            guard isExact else { continue }
            let plain = try await SearchTests.answer(name, parameters.merging(["without": "all"]) { $1 }, task)
            #expect(plain.tokens == answer.tokens, "\(name) \(parameters) \(seed)")
        }
        #expect(impossible > 5, "\(impossible)")
    }

    private static func isImpossible(_ candidate: ScoredCandidate) -> Bool {
        !candidate.rollouts.isEmpty && candidate.rollouts.allSatisfy { $0.logWeight == -Double.infinity }
    }

    @Test func clippingIsAroundTheMeanOfWhatIsPossible() async throws {
        var (clipped, mixed) = (0, 0)
        for seed in 0..<60 as Range<UInt64> {
            let parameters: [String: ParameterValue] = [
                "k": 4, "alpha": 0.3, "horizon": 5, "rollouts": 6, "without": "all",
            ]
            let task = try Self.task(seed, share: 0.2)
            let free = try await SearchTests.answer("transfer-q-soft", parameters, task).steps[0]
            let bound = try await SearchTests.answer("transfer-q-soft", parameters.merging(["clip": 0.4]) { $1 }, task)
                .steps[0]
            for candidate in free.decision.candidates where candidate.rollouts.count > 1 {
                let other = try #require(bound.decision.candidates.first { $0.tokens == candidate.tokens })
                let logs = candidate.rollouts.compactMap(\.logWeight)
                let finite = logs.filter(\.isFinite)
                if !finite.isEmpty, finite.count < logs.count { mixed += 1 }
                let mean = finite.reduce(0, +) / Double(finite.count)
                for (log, result) in zip(logs, other.rollouts.compactMap(\.logWeight)) {
                    let expected = log.isFinite ? min(max(log, mean - 0.4), mean + 0.4) : log
                    #expect(log.isFinite ? abs(result - expected) < 1e-9 : result == expected)
                    if expected != log { clipped += 1 }
                }
            }
        }
        #expect(clipped > 20 && mixed > 20, "\(clipped) \(mixed)")
    }

    /// β·log of the mean weight, and the weighted mean, of what is possible, from the rollouts that the step shows.
    @Test func valuesAreThoseOfWhatIsPossible() async throws {
        for name in ["transfer-q-soft", "transfer-q-indirect"] {
            for seed in 0..<40 as Range<UInt64> {
                let parameters: [String: ParameterValue] = [
                    "k": 4, "alpha": 0.3, "horizon": 5, "rollouts": 4, "beta": 0.5, "without": "all",
                ]
                let step = try await SearchTests.answer(name, parameters, Self.task(seed)).steps[0]
                for candidate in step.decision.candidates where candidate.value != nil {
                    let weights = candidate.rollouts.compactMap(\.logWeight).map { exp($0) }
                    let sum = weights.reduce(0, +)
                    let expected =
                        name == "transfer-q-soft"
                        ? 0.5 * log(sum / Double(weights.count))
                        : zip(weights, candidate.rollouts).reduce(0) { $0 + $1.0 * $1.1.reward } / sum
                    #expect(abs(try #require(candidate.value) - expected) < 1e-9)
                    #expect(try #require(candidate.effectiveSampleSize) >= 1 - 1e-9)
                }
            }
        }
    }

    /// A user's own estimator may say so as well.
    private struct OnlyToken: ValueEstimator {
        let token: Token?

        func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
            ValueEstimates(
                estimates: candidates.map { $0[0] == token ? ValueEstimate(value: -1e6) : .impossible() })
        }
    }

    @Test func impossibleCandidatesRankLast() async throws {
        let policy = TabularPolicy.random(vocabularySize: 4, maximumLength: 5, endToken: nil, seed: 3)
        func tokens(_ only: Token?, seed: UInt64) async throws -> [Token] {
            let method = SteeredDecoding(guidance: try Guidance(k: 4, alpha: 1e-3), estimator: OnlyToken(token: only))
            let task = try DecodingTask(reference: policy, maximumLength: 5, seed: seed)
            for try await event in try Generation(task: task, method: method) {
                if case .finished(let summary) = event { return summary.tokens }
            }
            return []
        }
        for seed in 0..<20 as Range<UInt64> {
            for token in 0..<4 as Range<Token> {
                #expect(try await tokens(token, seed: seed) == Array(repeating: token, count: 5))
            }
            // All alike: the reference chooses, as it would without values.
            let plain = try DecodingTask(
                reference: policy, reward: TabularReward { _ in 0 }, maximumLength: 5, seed: seed)
            let expected = try await SearchTests.answer("args", ["k": 4, "choice": "sample"], plain).tokens
            #expect(try await tokens(nil, seed: seed) == expected)
        }
    }

    @Test func numbersOfWeightsThatAreNone() {
        #expect(LogSpace.effectiveSampleSize([-.infinity, -.infinity]) == 0)
        #expect(LogSpace.effectiveSampleSize([-.infinity, 2]) == 1)
        #expect(LogSpace.logSumExp([-.infinity, -.infinity]) == -.infinity)
        #expect(LogSpace.logSumExp([.nan, 0]).isNaN && LogSpace.logSumExp([0, .nan]).isNaN)
        #expect(LogSpace.logSumExp([.infinity, 0]) == .infinity && LogSpace.logSumExp([.nan, .infinity]).isNaN)
        #expect(LogSpace.logSoftmax([-.infinity, -.infinity]) == [-.infinity, -.infinity])
    }

    @Test func tiltedDistributionsTakeImpossibleCandidates() throws {
        let some = try TiltedDistribution(
            logTilt: [log(0.5), log(0.3), log(0.2)], values: [-.infinity, 1, -.infinity], alpha: 1)
        #expect(some.probabilities == [0, 1, 0])
        let none = try TiltedDistribution(
            logTilt: [log(0.5), log(0.3), log(0.2)], values: [-.infinity, -.infinity, -.infinity], alpha: 1)
        #expect(zip(none.probabilities, [0.5, 0.3, 0.2]).allSatisfy { abs($0 - $1) < 1e-12 })
        // The best value of a token that the policy rules out takes nothing from the others, however small α is.
        let ruledOut = try TiltedDistribution(logTilt: [-.infinity, log(0.5)], values: [1e9, 0], alpha: 1e-305)
        #expect(ruledOut.probabilities == [0, 1])
        #expect(throws: TransferQError.self) {
            try TiltedDistribution(logTilt: [-.infinity], values: [0], alpha: 1)
        }
        #expect(throws: TransferQError.self) { try TiltedDistribution(logTilt: [0], values: [.infinity], alpha: 1) }
    }

    @Test func betaTooSmallForTheRewardsIsNamed() async throws {
        let base = try Self.task(1)
        let task = try DecodingTask(
            reference: base.reference, baseline: base.baseline, reward: TabularReward { _ in 1e305 },
            maximumLength: 4)
        for name in ["transfer-q-soft", "transfer-q-indirect"] {
            let error = await #expect(throws: TransferQError.self) {
                try await SearchTests.answer(name, ["k": 4, "beta": 1e-9], task)
            }
            #expect(error?.description.hasPrefix("beta must be so large that") == true)
        }
    }
}
