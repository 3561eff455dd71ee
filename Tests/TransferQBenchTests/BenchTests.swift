import Foundation
import TestSupport
import Testing

/// `transferq-bench`, as small as it goes.
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
        let run = try program.run(arguments + Self.small, folder: package, of: .bench)
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
