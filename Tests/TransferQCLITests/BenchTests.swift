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

/// `transferq bench …`, as small as it goes.
@Suite(.serialized) struct BenchTests {
    private let program: SharpProgram

    init() throws { program = try SharpProgram() }

    static let small = [
        "--reward", "length:5", "--k", "3", "--horizon", "3", "--max-tokens", "4", "--threads", "1", "--format",
        "json",
    ]
    static let prompts = ["--prompts", "Benchmarks/prompts.jsonl", "--limit", "2"]

    /// Runs in the package's folder, where the prompts are.
    private func report<Report: Decodable>(_ arguments: [String], as type: Report.Type) throws -> Report {
        let package = URL(filePath: #filePath).appending(path: "../../..").standardized
        let run = try program.run(["bench"] + arguments + Self.small, folder: package)
        try #require(run.status == 0, "\(run.complaints)")
        return try JSONDecoder().decode(type, from: Data(run.output.utf8))
    }

    @Test func speedUpsAreSwitchedOffInTurn() throws {
        struct Report: Decodable {
            struct Side: Decodable {
                struct Figures: Decodable {
                    let evaluatedCandidates: Double
                    let reusedShare: Double
                }

                let name: String
                struct Pace: Decodable {
                    let seconds: [Double]
                    let tokens: [Int]
                }

                struct Ratio: Decodable {
                    let total: Double
                    let median: Double
                }

                let pace: Pace
                let figures: [Figures]
                let ratio: Ratio
                let equalAnswers: Int
            }

            let prompts: Int
            let sides: [Side]
        }
        let report = try report(["speedups"] + Self.prompts, as: Report.self)
        #expect(report.prompts == 2)
        #expect(
            report.sides.map(\.name) == ["all on", "without prune", "without reuse", "without look-ahead", "all off"])
        #expect(report.sides[0].ratio.total == 1 && report.sides[0].equalAnswers == 2)
        for side in report.sides {
            #expect(side.figures.count == 2 && side.ratio.total > 0 && side.ratio.median > 0)
            #expect(side.pace.seconds.allSatisfy { $0 > 0 } && side.pace.tokens.count == 2)
        }
        // What is off does nothing.
        #expect(report.sides[1].figures.allSatisfy { $0.evaluatedCandidates == 3 })
        #expect(report.sides[2].figures.allSatisfy { $0.reusedShare == 0 })
    }

    @Test func batchesAreMeasuredAgainstOneByOne() throws {
        struct Report: Decodable {
            struct Row: Decodable {
                let method: String
                let alone: Double
                let together: Double
                let ratio: Double
                let equalAnswers: Int
            }

            let prompts: Int
            let rows: [Row]
        }
        let report = try report(["batch", "--parallel", "2", "--rounds", "1"] + Self.prompts, as: Report.self)
        #expect(report.prompts == 2 && report.rows.map(\.method) == ["greedy", "transfer-q", "confidence 0.99"])
        for row in report.rows {
            #expect(row.alone > 0 && abs(row.ratio - row.together / row.alone) < 1e-9)
            #expect((0...2).contains(row.equalAnswers))
        }
    }

    @Test func costsComeWithTheirSlopes() throws {
        struct Report: Decodable {
            struct Series: Decodable {
                let varied: String
                let method: String
                let values: [Int]
                let secondsPerToken: [Double]
                let slope: Double
            }

            struct Growth: Decodable {
                struct Fit: Decodable {
                    let quadraticShare: Double
                }

                let method: String
                let tokens: Int
                let fit: Fit
            }

            let series: [Series]
            let growth: [Growth]
        }
        let report = try report(
            [
                "cost", "--ks", "2,4", "--horizons", "2,4", "--prompt-lengths", "150,200", "--answer-lengths", "4,8",
                "--rounds", "1",
            ], as: Report.self)
        let names = report.series.map { series in "\(series.varied), \(series.method)" }
        #expect(
            names == [
                "k, transfer-q", "horizon, transfer-q", "prompt tokens, transfer-q", "prompt tokens, greedy",
                "answer tokens, transfer-q", "answer tokens, greedy",
            ])
        for series in report.series {
            #expect(series.values.count == 2 && series.slope.isFinite)
            #expect(series.secondsPerToken.allSatisfy { $0 > 0 })
        }
        // Words, of which the model reads the letters, are added as long as they fit.
        #expect((138...150).contains(report.series[2].values[0]))
        #expect((188...200).contains(report.series[2].values[1]))
        #expect(report.growth.map(\.method) == ["transfer-q", "greedy"])
        #expect(report.growth.allSatisfy { $0.tokens == 8 && $0.fit.quadraticShare.isFinite })
    }

    @Test func memoryDoesNotGrowWithTheAnswers() throws {
        struct Report: Decodable {
            struct Memory: Decodable {
                let resident: Double
                let peak: Double
            }

            struct Sample: Decodable {
                let answers: Int
                let megabytes: Memory
            }

            struct Growth: Decodable {
                let from: Int
                let megabytesPerAnswer: Memory
            }

            let samples: [Sample]
            let growth: [Growth]
        }
        let report = try report(["memory", "--answers", "48"] + Self.prompts, as: Report.self)
        #expect(report.samples.map(\.answers) == [0, 1, 2, 4, 8, 16, 32, 48])
        for (sample, next) in zip(report.samples, report.samples.dropFirst()) {
            #expect(sample.megabytes.resident > 10 && sample.megabytes.resident <= sample.megabytes.peak)
            #expect(sample.megabytes.peak <= next.megabytes.peak)
        }
        // A context that stayed would add tens of megabytes each time; the allocator may take some once.
        #expect(report.growth.map(\.from) == [2, 32])
        #expect(report.growth.allSatisfy { $0.megabytesPerAnswer.peak < 2 && $0.megabytesPerAnswer.resident < 2 })
    }
}
