import Foundation
import TestSupport
import Testing

/// `transferq-bench gpu` on models of a few million weights.
@Suite struct GPUTests {
    private struct Report: Decodable {
        struct Model: Decodable {
            let parameters: Int
            let bytes: Int
        }

        struct Rollouts: Decodable {
            let k: Int
            let rounds: Int
            let engine: Double
            let bareLoop: Double
            let publishedLoop: Double
            let ratio: Double
        }

        struct Step: Decodable {
            let speedUps: Bool
            let tokens: Int
            let secondsPerToken: Double
        }

        let model: Model
        let secondsToWrite: Double?
        let rollouts: [Rollouts]
        let steps: [Step]
        let leftOut: [String]
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func run(_ arguments: [String]) throws -> ProgramRun {
        try ProgramRun.run(
            ["gpu"] + arguments, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], of: .bench)
    }

    private func report(_ arguments: [String]) throws -> Report {
        let run = try run(arguments + ["--format", "json", "--threads", "1"])
        try #require(run.status == 0, "\(run.complaints)")
        return try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
    }

    /// Sizes of the files that stay.
    private func files() throws -> [Int] {
        let random = folder.file("cache/random").path
        return try FileManager.default.contentsOfDirectory(atPath: random).map { name in
            try FileManager.default.attributesOfItem(atPath: "\(random)/\(name)")[.size] as? Int ?? 0
        }
    }

    @Test(arguments: ["q4_0", "q8_0", "f16"])
    func everythingIsMeasuredAndTheModelGoes(weights: String) throws {
        let report = try report(["--parameters", "5M", "--weights", weights, "--ks", "1,10", "--horizon", "3"])
        #expect((4_500_000...5_500_000).contains(report.model.parameters))
        #expect(report.rollouts.map(\.k) == [1, 10] && report.leftOut.isEmpty)
        for row in report.rollouts {
            #expect(row.rounds >= 1)
            for speed in [row.engine, row.bareLoop, row.publishedLoop, row.ratio] {
                #expect(speed > 0 && speed.isFinite)
            }
        }
        #expect(report.steps.map(\.speedUps) == [true, false])
        #expect(report.steps.allSatisfy { $0.tokens >= 1 && $0.secondsPerToken > 0 })
        #expect(try files().isEmpty)
    }

    @Test func aModelThatIsKeptServesAgain() throws {
        let arguments = ["--parameters", "1M", "--ks", "2", "--horizon", "2", "--keep"]
        let first = try report(arguments)
        #expect(first.secondsToWrite != nil)
        let size = try #require(try files().first)
        // The keys come on top.
        #expect((first.model.bytes...first.model.bytes + 200_000).contains(size))
        #expect(try report(arguments).secondsToWrite == nil)
    }

    @Test func whatDoesNotFitIntoTheTimeIsNamed() throws {
        let report = try report(["--parameters", "200M", "--seconds", "1"])
        #expect(report.leftOut.contains { $0.hasPrefix("steps of transfer-q") || $0 == "everything else" })
        #expect(try files().isEmpty)
    }

    @Test func theTableHasEverySide() throws {
        let run = try run(["--parameters", "1M", "--ks", "10", "--horizon", "2", "--threads", "1"])
        #expect(run.status == 0, "\(run.complaints)")
        for name in ["bare llama.cpp", "published loop", "engine / bare", "transfer-q without speed-ups", "memory of"] {
            #expect(run.output.contains(name), "\(run.output)")
        }
    }
}
