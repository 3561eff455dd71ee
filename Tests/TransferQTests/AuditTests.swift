import Testing
import TransferQ
import TransferQTheory

/// The checks of what `confidence` leaves out, against what a search in full says.
@Suite struct AuditTests {
    static let parameters: [String: ParameterValue] = [
        "k": 4, "alpha": 0.5, "horizon": 10, "choice": "greedy", "confidence": 0.7, "without": "look-ahead",
    ]

    static func task(_ seed: UInt64) throws -> DecodingTask {
        func policy(_ salt: UInt64) -> TabularPolicy {
            TabularPolicy.random(
                vocabularySize: 4, maximumLength: 4, endToken: 0, spread: 1.5, seed: seed &* 31 &+ salt)
        }
        let raw = TabularReward(name: "rough") { tokens in
            tokens.reduce(Noise(seed: seed)) { $0.derived(Int($1)) }.uniform
        }
        let reward = try StandardizedReward(raw, by: RewardCalibration(mean: 0.5, spread: 0.3, count: 9))
        return try DecodingTask(reference: policy(1), baseline: policy(2), reward: reward, maximumLength: 4, seed: seed)
    }

    private func decide(
        _ task: DecodingTask, _ more: [String: ParameterValue], confident: Bool = true
    ) async throws -> Decision {
        var parameters = Self.parameters.merging(more) { $1 }
        if !confident { parameters["confidence"] = nil }
        return try await DecodingMethods.make("transfer-q", parameters).method.decide(DecodingState(task: task))
    }

    /// One step each: what was left out, and the choice made without it, are those of the run that checks nothing.
    @Test func checksTellWhatWasLeftOutWhenItWas() async throws {
        var (checked, missed, wrong) = (0, 0, 0)
        for seed in 0..<400 as Range<UInt64> {
            let task = try Self.task(seed)
            let silent = try await decide(task, ["audit": 0])
            let full = try await decide(task, ["without": "all"], confident: false)
            let audited = try await decide(task, ["audit": 1])
            let report = try #require(audited.search)
            #expect(silent.search?.audited == 0)
            let leftOut = silent.candidates.filter { $0.value == nil && $0.tokens != silent.tokens }
            #expect(report.audited == (leftOut.isEmpty ? 0 : 1), "seed \(seed)")
            guard !leftOut.isEmpty else {
                #expect(audited.tokens == silent.tokens)
                continue
            }
            checked += 1
            // All that was left out has a value now.
            let known = audited.candidates.filter { $0.value != nil }.map(\.tokens)
            #expect(leftOut.allSatisfy { known.contains($0.tokens) })
            func score(_ tokens: [Token]) throws -> Double {
                try #require(full.candidates.first { $0.tokens == tokens }).score
            }
            let choice = try score(silent.tokens)
            let isMissed = try leftOut.contains { try score($0.tokens) > choice }
            #expect(report.auditMisses == (isMissed ? 1 : 0), "seed \(seed)")
            missed += isMissed ? 1 : 0
            wrong += silent.tokens == full.tokens ? 0 : 1
        }
        #expect(checked > 60 && missed > 5, "\(checked) \(missed)")
        #expect(missed <= wrong)
    }

    @Test func theShareIsReportedWithItsInterval() async throws {
        var diagnostics = Diagnostics()
        #expect(diagnostics.auditMissRate == nil)
        var (audited, misses) = (0, 0)
        for seed in 0..<20 as Range<UInt64> {
            let method = try DecodingMethods.make("transfer-q", Self.parameters.merging(["audit": 0.5]) { $1 }).method
            for try await event in try Generation(task: Self.task(seed), method: method) {
                guard case .finished(let summary) = event else { continue }
                diagnostics = summary.diagnostics
                audited += diagnostics.audited
                misses += diagnostics.auditMisses
                #expect(diagnostics.auditMisses <= diagnostics.audited)
                if let rate = diagnostics.auditMissRate {
                    #expect(rate == ShareInterval(diagnostics.auditMisses, of: diagnostics.audited))
                    #expect(rate.high > rate.low)
                }
            }
        }
        #expect(audited > 10)
    }
}
