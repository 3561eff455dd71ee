import Testing
import TransferQ
import TransferQTheory

/// What stands for KL is named: a divergence, two kinds of bounds, and a point mass.
@Suite struct KLKindTests {
    private func summary(_ name: String, _ parameters: [String: ParameterValue]) async throws -> GenerationSummary {
        let reward = TabularReward(name: "r", range: 0...1) { tokens in
            tokens.reduce(Noise(seed: 4)) { $0.derived(Int($1)) }.uniform
        }
        let policy = TabularPolicy.random(vocabularySize: 4, maximumLength: 5, endToken: 0, spread: 1.5, seed: 8)
        let task = try DecodingTask(reference: policy, reward: reward, maximumLength: 5, seed: 2)
        for try await event in try Generation(task: task, method: DecodingMethods.make(name, parameters).method) {
            if case .finished(let summary) = event { return summary }
        }
        throw CancellationError()
    }

    @Test func everyMethodSaysWhatItsNumberIs() async throws {
        let values: [String: ParameterValue] = ["k": 4, "alpha": 2, "horizon": 5, "choice": "sample"]
        for (name, parameters, kind) in [
            ("greedy", [:], .pointMass), ("sample", [:], .divergence), ("sample", ["temperature": 0.5], .divergence),
            ("sample", ["temperature": 0], .pointMass), ("best-of-n", ["n": 4], .boundOfMethod),
            ("transfer-q", values.merging(["without": "all"]) { $1 }, .divergence),
            ("transfer-q", values.merging(["alpha": 20]) { $1 }, .boundOverSkippedValues),
            ("transfer-q", values.merging(["choice": "greedy"]) { $1 }, .pointMass),
            ("transfer-q", values.merging(["blockwise": 2]) { $1 }, .boundOfMethod),
            ("transfer-q", values.merging(["kl-budget": 1]) { $1 }, .divergence),
        ] as [(String, [String: ParameterValue], KLKind)] {
            let summary = try await summary(name, parameters)
            #expect(summary.klKind == kind, "\(name) \(parameters)")
            #expect(try #require(summary.kl).isFinite)
        }
    }

    @Test func aSumIsTheWeakerOfItsParts() {
        #expect(KLKind.divergence.adding(.divergence) == .divergence)
        for kind in KLKind.allCases {
            #expect(kind.adding(.divergence) == kind && KLKind.divergence.adding(kind) == kind)
        }
    }
}
