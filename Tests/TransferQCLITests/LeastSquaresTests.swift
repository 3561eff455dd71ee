import Foundation
import Testing
import TransferQEvaluation

/// What the measurements compute, on numbers that are known.
struct LeastSquaresTests {
    @Test func aPolynomialIsFoundAgain() throws {
        let expected = [3, -2, 0.5]
        let fit = try #require(PolynomialFit([(0, 3), (1, 1.5), (2, 1), (5, 5.5), (9, 25.5)], degree: 2))
        for (index, coefficient) in fit.coefficients.enumerated() {
            #expect(abs(coefficient - expected[index]) < 1e-9)
        }
    }

    /// By hand: x̄ = 2, ȳ = 7/3, Σ(x − x̄)(y − ȳ) = 3, Σ(x − x̄)² = 2.
    @Test func aLineIsTheClosest() throws {
        let fit = try #require(PolynomialFit([(1, 1), (2, 2), (3, 4)], degree: 1))
        #expect(abs(fit.coefficients[1] - 1.5) < 1e-12)
        #expect(abs(fit.coefficients[0] + 2.0 / 3) < 1e-12)
    }

    @Test func whatTellsTooLittleIsRefused() {
        #expect(PolynomialFit([(1, 1), (1, 2)], degree: 1) == nil)
        #expect(PolynomialFit([(1, 1), (2, 2)], degree: 2) == nil)
        #expect(PolynomialFit([(1, 1), (2, .nan), (3, 3)], degree: 1) == nil)
        #expect(PolynomialFit([], degree: 0) == nil)
        #expect(QuadraticGrowth(seconds: [0.1, 0.2]) == nil)
        #expect(QuadraticGrowth(seconds: [0, 0, 0]) == nil)
    }

    @Test func theShareOfTheQuadraticTerm() throws {
        let seconds = (1...512).map { (token: Int) -> Double in
            let tokens = Double(token)
            return 0.3 + 0.02 * tokens + 1e-5 * tokens * tokens
        }
        let growth = try #require(QuadraticGrowth(seconds: seconds))
        #expect(abs(growth.constant - 0.3) < 1e-9)
        #expect(abs(growth.linear - 0.02) < 1e-11)
        #expect(abs(growth.quadratic - 1e-5) < 1e-13)
        // 0.00001 · 512² of 13.16 seconds.
        #expect(abs(growth.quadraticShare - 2.62144 / seconds[511]) < 1e-9)
        let straight = try #require(QuadraticGrowth(seconds: (1...100).map { 0.5 * Double($0) }))
        #expect(abs(straight.quadraticShare) < 1e-9)
    }

    /// 99 tokens of a second each; in each of three rounds another third of them takes three.
    @Test func slowStretchesOfSingleRoundsBendNothing() throws {
        let rounds = (0..<3).map { slow in
            var elapsed = 0.0
            return (0..<99).map { token -> Double in
                elapsed += token / 33 == slow ? 3 : 1
                return elapsed
            }
        }
        #expect(QuadraticGrowth.typicalAnswer(of: rounds) == (1...99).map(Double.init))
        #expect(QuadraticGrowth.typicalAnswer(of: [[0.5, 2, 2, 4]]) == [0.5, 2, 2, 4])
        // One round alone, slow to the end, looks like growth.
        let last = try #require(QuadraticGrowth(seconds: rounds[2]))
        #expect(last.quadraticShare > 0.3)
    }
}

struct KeptGainTests {
    /// By hand: gains 1 and 3, kept 1 and 2, so 3 of 4; residuals (1 − 0.75)/2 and (2 − 2.25)/2, whose mean has the standard
    /// error 0.125. The quantile of one degree of freedom is 12.706.
    @Test func theShareAndHowSureItIs() throws {
        let kept = try #require(KeptGain(rewards: [2, 2], full: [2, 3], plain: [1, 0]))
        #expect(abs(kept.share - 0.75) < 1e-12)
        #expect(abs(kept.high - kept.share - (kept.share - kept.low)) < 1e-12)
        #expect(abs(kept.high - kept.share - 0.125 * 12.706205) < 1e-6)
    }

    @Test func whoKeepsAllKeepsAll() throws {
        let kept = try #require(KeptGain(rewards: [2, 3, 5], full: [2, 3, 5], plain: [1, 0, 1]))
        #expect((kept.low, kept.share, kept.high) == (1, 1, 1))
    }

    @Test func withoutAGainThereIsNoShare() {
        #expect(KeptGain(rewards: [2, 2], full: [1, 0], plain: [1, 0]) == nil)
        #expect(KeptGain(rewards: [2], full: [2], plain: [1]) == nil)
        #expect(KeptGain(rewards: [2, 3], full: [2], plain: [1, 1]) == nil)
    }
}
