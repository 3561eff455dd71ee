import Foundation
import TestSupport
import Testing
import TransferQ

/// Options that a reward makes unnecessary: a baseline, an α, `z:`.
@Suite struct RewardInstructionTests {
    private struct Report: Decodable {
        struct Baseline: Decodable {
            let system: String?
        }

        struct Method: Decodable {
            let alpha: Double?
            let choice: String?
        }

        let baseline: Baseline?
        let method: Method
    }

    private let folder: TemporaryFolder
    private let file: String

    init() throws {
        folder = try TemporaryFolder()
        file = folder.file("tiny.gguf").path
        try ModelWriter.tinyModel(to: URL(filePath: file), chatTemplate: ModelWriter.Template.chatML.text)
    }

    private func report(_ options: [String]) throws -> (Report, ProgramRun) {
        let run = try ProgramRun.run(
            ["generate", "Hi", "--model", file, "--max-tokens", "2", "--k", "2", "--horizon", "2", "--format", "json"]
                + options)
        #expect(run.status == 0, "\(run.complaints)")
        return (try JSONDecoder().decode(Report.self, from: Data(run.output.utf8)), run)
    }

    @Test func theRewardSaysWhatTheBaselineIsToldWhereNoneIsGiven() throws {
        let sentence = "Use the word \"ocean\" in your answer."
        let (told, run) = try report(["--reward", "keywords:ocean"])
        #expect(told.baseline?.system == sentence)
        #expect(run.complaints.contains(sentence))
        let (given, quiet) = try report(["--reward", "keywords:ocean", "--baseline-system", "Be brief."])
        #expect(given.baseline?.system == "Be brief.")
        #expect(!quiet.complaints.contains(sentence))
        #expect(try report(["--reward", "keywords:ocean", "--method", "cd"]).0.baseline == nil)
        #expect(try report(["--reward", "regex:a"]).0.baseline == nil)
    }

    @Test func alphaIsOneUnitOfTheRewardUnlessGiven() throws {
        #expect(try report(["--reward", "keywords:ocean"]).0.method.alpha == 0.1)
        #expect(try report(["--reward", "keywords:ocean,-sea:0.5"]).0.method.alpha == 0.1)
        #expect(try report(["--reward", "length:9", "--alpha", "3"]).0.method.alpha == 3)
        #expect(try report(["--reward", "length:9"]).0.method.choice == "greedy")
        #expect(try report(["--reward", "length:9", "--temperature", "0.7"]).0.method.choice == "sample")
        #expect(try report(["--reward", "length:9", "--kl-budget", "3"]).0.method.choice == "sample")
    }
}
