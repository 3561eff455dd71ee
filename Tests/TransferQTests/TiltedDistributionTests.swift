import Foundation
import Testing
import TransferQ

@Suite struct TiltedDistributionTests {
    private func problem(_ seed: UInt64, size: Int = 8) -> (logTilt: [Double], values: [Double]) {
        let noise = Noise(seed: seed)
        let logTilt = LogSpace.logSoftmax((0..<size).map { noise.derived($0).gumbel })
        return (logTilt, (0..<size).map { noise.derived(100 + $0).uniform * 4 - 2 })
    }

    @Test func equalsTheFormula() throws {
        for seed in 0..<200 as Range<UInt64> {
            let (logTilt, values) = problem(seed)
            let alpha = 0.05 + 2 * Noise(seed: seed).derived(-1).uniform
            // Straight from docs/mathematics.md section 3, without logarithms.
            let weights = zip(logTilt, values).map { exp($0) * exp($1 / alpha) }
            let total = weights.reduce(0, +)
            let tilted = try TiltedDistribution(logTilt: logTilt, values: values, alpha: alpha)
            for (probability, weight) in zip(tilted.probabilities, weights) {
                #expect(abs(probability - weight / total) < 1e-12)
            }
        }
    }

    @Test func hasTheRightLimits() throws {
        let (logTilt, values) = problem(1)
        let loose = try TiltedDistribution(logTilt: logTilt, values: values, alpha: 1e15)
        for (probability, log) in zip(loose.probabilities, logTilt) { #expect(abs(probability - exp(log)) < 1e-12) }
        let best = try #require(values.indices.max { values[$0] < values[$1] })
        for alpha in [1e-3, 1e-300, Double.leastNonzeroMagnitude] {
            let tight = try TiltedDistribution(logTilt: logTilt, values: values, alpha: alpha)
            #expect(abs(tight.probabilities[best] - 1) < 1e-12)
            #expect(tight.mostLikely == best)
        }
    }

    @Test func choosesByItsProbabilities() throws {
        let (logTilt, values) = problem(2)
        let tilted = try TiltedDistribution(logTilt: logTilt, values: values, alpha: 0.7)
        let tokens = (0..<Token(values.count)).map { $0 * 31 + 4 }
        var counts = [Int](repeating: 0, count: values.count)
        for draw in 0..<50_000 { counts[tilted.choose(tokens: tokens, noise: Noise(seed: 9).derived(draw))] += 1 }
        #expect(ChiSquare.accepts(counts: counts, probabilities: tilted.probabilities))
        // And a distribution that is off by little is refused, so the test above can fail.
        let other = try TiltedDistribution(logTilt: logTilt, values: values, alpha: 0.6)
        #expect(!ChiSquare.accepts(counts: counts, probabilities: other.probabilities))
    }

    @Test func choiceDependsOnTokensNotOnTheirOrder() throws {
        let (logTilt, values) = problem(3)
        let tokens = (0..<Token(values.count)).map { $0 + 100 }
        let order = [3, 1, 7, 0, 2, 6, 5, 4]
        let one = try TiltedDistribution(logTilt: logTilt, values: values, alpha: 0.5)
        let other = try TiltedDistribution(
            logTilt: order.map { logTilt[$0] }, values: order.map { values[$0] }, alpha: 0.5)
        for draw in 0..<500 {
            let noise = Noise(seed: 1).derived(draw)
            let first = tokens[one.choose(tokens: tokens, noise: noise)]
            let shuffled = order.map { tokens[$0] }
            #expect(first == shuffled[other.choose(tokens: shuffled, noise: noise)])
        }
    }

    @Test(arguments: [0, -1, Double.nan, .infinity, -.infinity])
    func refusesImpossibleAlpha(alpha: Double) {
        #expect(throws: TransferQError.self) {
            try TiltedDistribution(logTilt: [0], values: [1], alpha: alpha)
        }
    }

    @Test func refusesValuesThatAreNotNumbers() {
        #expect(throws: TransferQError.self) { try TiltedDistribution(logTilt: [0], values: [.nan], alpha: 1) }
        #expect(throws: TransferQError.self) { try TiltedDistribution(logTilt: [.nan], values: [1], alpha: 1) }
        #expect(throws: TransferQError.self) { try TiltedDistribution(logTilt: [0, 0], values: [1], alpha: 1) }
        #expect(throws: TransferQError.self) { try TiltedDistribution(logTilt: [], values: [], alpha: 1) }
    }
}
