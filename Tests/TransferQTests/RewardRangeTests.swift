import Foundation
import Testing
import TransferQ
import TransferQTheory

/// Ranges without an end, and those that a spread or an α takes beyond the numbers there are.
@Suite(.timeLimit(.minutes(1))) struct RewardRangeTests {
    /// A reward whose range has no end.
    private struct Unbounded: RewardModel {
        let range: ClosedRange<Double>?
        var name: String { "unbounded" }

        func rewards(for completions: [Completion]) async throws -> [Double] {
            completions.map { Double($0.tokens.count) }
        }
    }

    @Test func rangesWithoutAnEndStayRanges() async throws {
        for range in [0...Double.infinity, -Double.infinity...9, -Double.infinity...Double.infinity] {
            for weight in [0, 1, -1, 1e-300, -1e-300, 1e308, -0.0] {
                let sum = try WeightedSumReward(parts: [
                    .init(reward: Unbounded(range: range), weight: weight),
                    .init(reward: try LengthReward(target: 2), weight: -2),
                ])
                let total = try #require(sum.range)
                #expect(total.lowerBound <= total.upperBound)
                if weight == 0 { #expect(abs(total.lowerBound + 2) < 1e-9 && abs(total.upperBound) < 1e-9) }
                let scaled = try StandardizedReward(
                    Unbounded(range: range), by: RewardCalibration(mean: 1, spread: 2, count: 0))
                #expect(try #require(scaled.range).upperBound > 0)
            }
            // Searches go by what such a range bounds.
            for (name, parameters) in [
                ("transfer-q", ["k": 4, "horizon": 3]), ("args", ["k": 4]),
                ("transfer-q", ["k": 4, "horizon": 3, "rollouts": 5]),
                ("transfer-q-indirect", ["k": 4, "horizon": 3, "rollouts": 2]),
            ] as [(String, [String: ParameterValue])] {
                for seed in 0..<10 as Range<UInt64> {
                    let base = try SearchTests.task(seed, reward: SearchTests.reward(seed))
                    func answer(_ more: [String: ParameterValue], range: ClosedRange<Double>?) async throws -> [Token] {
                        let task = try DecodingTask(
                            reference: base.reference, baseline: base.baseline, reward: Unbounded(range: range),
                            maximumLength: 6, seed: seed)
                        // α's default follows the range, which differs here.
                        let all = parameters.merging(["alpha": 1, "choice": "sample"]) { $1 }.merging(more) { $1 }
                        return try await SearchTests.answer(name, all, task).tokens
                    }
                    let expected = try await answer(["without": "all"], range: nil)
                    #expect(try await answer([:], range: range) == expected)
                    #expect(try await !answer(["confidence": 0.9], range: range).isEmpty)
                    #expect(try await answer(["without": "all"], range: range) == expected)
                }
            }
        }
    }

    @Test(arguments: ["z:0,1e-310:length:3:0", "z:0,1e-310:length:3", "clip:0..1:z:-1e308,1e-10:length:3"])
    func spreadsThatAreTooSmallAreRefusedInASentence(specification: String) async {
        let error = await #expect(throws: TransferQError.self) {
            try await RewardCatalogue.rules.parse([specification, "length:5"])
        }
        #expect(error?.description.contains("give a larger spread") == true)
    }

    @Test func alphasThatAreTooSmallForTheRangeAreRefused() async throws {
        let base = try SearchTests.task(1, reward: SearchTests.reward(1))
        for range in [0...1e300, -1e308...1e308] {
            let task = try DecodingTask(
                reference: base.reference, baseline: base.baseline, reward: Unbounded(range: range), maximumLength: 6)
            let error = await #expect(throws: TransferQError.self) {
                try await SearchTests.answer("transfer-q", ["k": 4, "alpha": 1e-9], task)
            }
            #expect(error?.description.hasPrefix("alpha must be so large that") == true)
        }
        // Small ones that do are served, with numbers for their divergence.
        for seed in 0..<10 as Range<UInt64> {
            let task = try SearchTests.task(seed, reward: SearchTests.reward(seed))
            let fast = try await SearchTests.answer("transfer-q", ["k": 4, "alpha": 1e-300, "horizon": 6], task)
            let plain = try await SearchTests.answer(
                "transfer-q", ["k": 4, "alpha": 1e-300, "horizon": 6, "without": "all"], task)
            #expect(fast.tokens == plain.tokens)
            for step in fast.steps { #expect(!(step.decision.kl?.isNaN ?? false)) }
        }
    }
}
