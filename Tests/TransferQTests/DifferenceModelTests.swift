import Foundation
import Testing
import TransferQ

@Suite struct DifferenceModelTests {
    private static func normal(_ noise: Noise) -> Double { (0..<12).reduce(-6) { $0 + noise.derived($1).uniform } }

    /// Nine candidates of a step share its incumbent's luck: as nine independent ones they made the chances of coming steps
    /// too small. What had a chance of 5 % must come in 5 % of the steps, or less.
    @Test(arguments: [2, 3, 5, 10]) func whatIsUnlikelyIsAsRareAsItSays(steps: Int) {
        var surprised = 0
        for answer in 0..<4000 {
            let noise = Noise(seed: 11).derived(answer)
            func step(_ index: Int) -> [Double] {
                let incumbent = Self.normal(noise.derived(index))
                return (0..<9).map { incumbent + 0.2 * Self.normal(noise.derived(index).derived(50 + $0)) }
            }
            var model = DifferenceModel()
            for index in 0..<steps { model.add(step: step(index)) }
            surprised += model.chance(above: step(steps)[0], spread: nil) < 0.05 ? 1 : 0
        }
        #expect(surprised < 240, "\(surprised) of 4000")
        #expect(surprised > (steps == 2 ? 10 : 80), "\(surprised) of 4000")
    }

    @Test func aStepCountsOnce() {
        var (nine, one) = (DifferenceModel(), DifferenceModel())
        for value in [0.1, -0.3, 0.5, 0.2] {
            nine.add(step: [Double](repeating: value, count: 9))
            one.add(step: [value])
        }
        nine.add(step: [])
        #expect(nine.steps == 4 && one.steps == 4)
        for spread in [nil, 0.9] as [Double?] {
            #expect(abs(nine.chance(above: 1, spread: spread) - one.chance(above: 1, spread: spread)) < 1e-12)
        }
        // Four steps with a mean of 0.125 and a standard deviation of 0.3304: Student's t with 3 degrees of freedom.
        let t = (1 - 0.125) / (0.3304037933599835 * (1.25).squareRoot())
        #expect(abs(one.chance(above: 1, spread: nil) - StudentT.upperTail(t, freedom: 3)) < 1e-9)
    }

    /// That all were alike so far does not make it certain that the next is.
    @Test func whatNeverHappenedIsNotImpossible() {
        var model = DifferenceModel()
        #expect(model.chance(above: 0.1, spread: nil) == 1)
        model.add(step: [0, 0, 0])
        #expect(model.chance(above: 0.1, spread: nil) == 1)
        for _ in 0..<3 { model.add(step: [0, 0, 0]) }
        #expect(abs(model.chance(above: 0.1, spread: nil) - 1.0 / 6) < 1e-12)
        #expect(model.chance(above: -0.1, spread: nil) == 1)
    }
}

@Suite struct ConfidenceCalibrationTests {
    /// Steps as the model of differences supposes them.
    ///
    /// - Parameter answerSpread: how much the spread differs between answers; 0 for one that all share.
    private static func steps(slope: Double, spread: Double, answerSpread: Double) -> [ValuedStep] {
        func normal(_ noise: Noise) -> Double { (0..<12).reduce(-6) { $0 + noise.derived($1).uniform } }
        return (0..<60).flatMap { prompt -> [ValuedStep] in
            let noise = Noise(seed: 21).derived(prompt)
            let own = spread * exp(answerSpread * normal(noise.derived(-1)))
            return (0..<30).map { index in
                let noise = noise.derived(index)
                let incumbent = 0.5 + normal(noise)
                let others = (0..<9).map { 0.5 + slope * (incumbent - 0.5) + own * normal(noise.derived(20 + $0)) }
                return ValuedStep(
                    prompt: prompt, incumbent: incumbent, others: others, chosen: incumbent,
                    isIncumbentChosen: index % 5 != 0)
            }
        }
    }

    @Test func measuresWhatWasPutIn() throws {
        let scale = ValueScale(mean: 0.5)
        let alike = try ConfidenceCalibration(
            measuring: Self.steps(slope: 0.4, spread: 1.2, answerSpread: 0), scale: scale, rewardSpread: 2, source: "a")
        #expect(abs(alike.slope - 0.4) < 0.03 && abs(alike.spread - 0.6) < 0.02 && alike.source == "a")
        #expect(abs(alike.lossRate - 0.2) < 1e-12)
        // By hand: a guess that is √2 incumbents off adds 2·(1 − 0.4)² to a variance of 1.44.
        #expect(abs(alike.guessInflation - (1.44 + 2 * 0.36) / 1.44) < 0.1)
        // Where all answers are alike, what is known beforehand outweighs an answer's own steps; else it does not.
        let different = try ConfidenceCalibration(
            measuring: Self.steps(slope: 0.4, spread: 1.2, answerSpread: 1), scale: scale, rewardSpread: 2, source: "b")
        #expect(alike.priorSteps >= 32 && different.priorSteps <= 4, "\(alike.priorSteps) \(different.priorSteps)")
    }

    @Test func tooLittleToMeasureIsRefused() {
        let steps = Self.steps(slope: 1, spread: 1, answerSpread: 0)
        let alike = (0..<40).map {
            ValuedStep(prompt: $0, incumbent: 0, others: [0, 0], chosen: 0, isIncumbentChosen: true)
        }
        for few in [Array(steps.prefix(29)), Array(steps.prefix(60)), alike] {
            #expect(throws: TransferQError.self) {
                try ConfidenceCalibration(measuring: few, scale: ValueScale(mean: 0), rewardSpread: 1, source: "")
            }
        }
    }

    @Test func filesKeepEverythingAndAreChecked() throws {
        let standard = ConfidenceCalibration.standard
        let data = try JSONEncoder().encode(standard)
        #expect(try JSONDecoder().decode(ConfidenceCalibration.self, from: data) == standard)
        let text = String(decoding: data, as: UTF8.self)
        #expect(text.contains("SmolLM2-135M") && text.contains("transferq-confidence-1"))
        for (part, other) in [
            ("transferq-confidence-1", "x"), ("\"slope\":0.7", "\"slope\":7"), ("\"spread\":0.9", "\"spread\":0"),
            ("\"priorSteps\":", "\"priorSteps\":-"), ("\"guessInflation\":2.4", "\"guessInflation\":0.5"),
            ("\"lossRate\":0.1", "\"lossRate\":2"), ("\"source\"", "\"origin\""),
        ] {
            #expect(text.contains(part))
            #expect(throws: (any Error).self, "\(part)") {
                try JSONDecoder().decode(
                    ConfidenceCalibration.self, from: Data(text.replacing(part, with: other).utf8))
            }
        }
    }

    /// Another calibration leaves out other candidates.
    @Test func theSearchGoesByIt() async throws {
        func evaluated(_ calibration: ConfidenceCalibration) async throws -> Double {
            var sum = 0.0
            for seed in 0..<30 as Range<UInt64> {
                var task = try AuditTests.task(seed)
                task.confidenceCalibration = calibration
                let method = try DecodingMethods.make("transfer-q", AuditTests.parameters).method
                for try await event in try Generation(task: task, method: method) {
                    if case .finished(let summary) = event {
                        sum += try #require(summary.diagnostics.evaluatedCandidates)
                    }
                }
            }
            return sum
        }
        func calibration(spread: Double) throws -> ConfidenceCalibration {
            try ConfidenceCalibration(
                slope: 0.7, spread: spread, priorSteps: 12, guessInflation: 1, lossRate: 0.1, source: "test")
        }
        let narrow = try await evaluated(calibration(spread: 0.1))
        let wide = try await evaluated(calibration(spread: 9))
        #expect(narrow < 0.8 * wide, "\(narrow) \(wide)")
    }
}
