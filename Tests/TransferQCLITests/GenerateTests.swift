import Foundation
import TestSupport
import Testing
import TransferQLlama

/// `transferq generate` and `compare` as a user runs them, with the real model or, where any will do, a tiny one.
@Suite(.serialized) struct GenerateTests {
    private let program: SharpProgram

    init() throws { program = try SharpProgram() }

    static let quick = ["--k", "3", "--horizon", "3", "--max-tokens", "5"]

    @Test func jsonHoldsEverythingPromised() throws {
        let run = try ProgramRun.run(
            ["generate", "Say hello.", "--reward", "length:5", "--format", "json", "--seed", "7"]
                + ["--without", "all"] + Self.quick)
        #expect(run.status == 0, "\(run.complaints)")
        let answer = try run.answer()
        #expect(!answer.response.isEmpty)
        #expect(answer.finishReason == "length" || answer.finishReason == "stop")
        let reward = try #require(answer.reward)
        #expect((0...1).contains(reward))
        let kl = try #require(answer.nats)
        #expect(kl > 0)
        #expect(answer.usage.promptTokens > 5 && answer.usage.rolloutTokens > 20 && answer.usage.seconds > 0)
        #expect(answer.usage.completionTokens <= 5)
        #expect(answer.usage.rewardCalls > 12 && answer.usage.scoredTokens > answer.usage.rewardCalls)
        #expect(answer.seed == 7)
        let hash = try GGUFFile.sha256(RealModel.path())
        #expect(answer.model.sha256 == hash)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        let method = try #require(object["method"] as? [String: Any])
        let names = [
            "name", "k", "horizon", "rollouts", "rollout-temperature", "alpha", "tilt", "choice", "max-tokens",
        ]
        for name in names { #expect(method[name] != nil, "\(name)") }
    }

    @Test func theSameSeedGivesTheSameAnswerInAnotherProcess() throws {
        func question(_ seed: String) -> [String] {
            [
                "generate", "Name a colour.", "--reward", "length:4", "--choice", "sample", "--format", "json",
                "--seed", seed,
            ] + Self.quick
        }
        let one = try ProgramRun.run(question("1")).answer().response
        #expect(try ProgramRun.run(question("1")).answer().response == one)
        let answers = try ["1", "2", "3", "4"].map { try program.run(question($0)).answer().response }
        #expect(try program.run(question("3")).answer().response == answers[2])
        #expect(Set(answers).count > 1)
    }

    @Test func promptsComeFromArgumentFileAndStandardInput() throws {
        let folder = try TemporaryFolder()
        let file = folder.file("prompt.txt")
        try Data("Name a river.\n".utf8).write(to: file)
        let arguments = ["--method", "greedy", "--max-tokens", "6"]
        let direct = try program.run(["generate", "Name a river."] + arguments)
        #expect(direct.status == 0 && !direct.output.isEmpty)
        #expect(try program.run(["generate", "--file", file.path] + arguments).output == direct.output)
        let input = Data("Name a river.\n".utf8)
        #expect(try program.run(["generate"] + arguments, input: input).output == direct.output)
        let messages = folder.file("messages.json")
        try Data(#"[{"role": "user", "content": "Name a river."}]"#.utf8).write(to: messages)
        #expect(try program.run(["generate", "--messages", messages.path] + arguments).output == direct.output)
        let raw = try program.run(["generate", "Name a river.", "--raw"] + arguments)
        #expect(raw.status == 0 && raw.output != direct.output)
        let system = try program.run(["generate", "Name a river.", "--system", "Speak French."] + arguments)
        #expect(system.status == 0 && system.output != direct.output)
    }

    @Test func traceTellsEveryStep() throws {
        struct Line: Decodable {
            struct Rollout: Decodable {
                let reward: Double
                let tokens: [Int]
            }
            struct Candidate: Decodable {
                let text: String
                let probability: Double
                let value: Double?
                let score: Double
                let logProbability: Double
                let isChosen: Bool
                let rollouts: [Rollout]
            }
            let step: Int
            let text: String
            let candidates: [Candidate]
            let kl: Double
            let cumulativeKL: Double
        }
        let folder = try TemporaryFolder()
        let trace = folder.file("trace.jsonl")
        let run = try ProgramRun.run(
            ["generate", "Say hello.", "--reward", "length:9", "--rollouts", "2", "--trace", trace.path]
                + ["--format", "json"] + Self.quick)
        #expect(run.status == 0, "\(run.complaints)")
        let answer = try run.answer()
        let lines = try String(contentsOf: trace, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Line.self, from: Data($0.utf8))
        }
        #expect(lines.map(\.step) == Array(0..<answer.usage.completionTokens))
        #expect(lines.map(\.text).joined() == answer.response)
        let total = try #require(lines.last).cumulativeKL
        let kl = try #require(answer.nats)
        #expect(abs(total - kl) < 1e-9)
        for line in lines {
            #expect(line.candidates.count == 3)
            #expect(abs(line.candidates.reduce(0) { $0 + $1.probability } - 1) < 1e-9)
            #expect(line.candidates.filter(\.isChosen).count == 1)
            for candidate in line.candidates where !candidate.rollouts.isEmpty {
                let mean = candidate.rollouts.reduce(0) { $0 + $1.reward } / Double(candidate.rollouts.count)
                #expect(abs(mean - (try #require(candidate.value))) < 1e-9)
            }
        }
    }

    @Test func baselineSystemPromptAndCandidateView() throws {
        let run = try ProgramRun.run(
            ["generate", "How are you?", "--reward", "keywords:ahoy", "--baseline-system", "You are a pirate: ahoy!"]
                + ["--show-candidates"] + Self.quick)
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.complaints.contains("step 5") && run.complaints.contains("▸"))
        #expect(!run.complaints.contains("there is no baseline"))
        #expect(run.output.split(separator: "\n").count >= 1)
    }

    @Test func fullDiskEndsTheTraceNotTheAnswer() throws {
        let run = try program.run(
            ["generate", "Say hello.", "--reward", "length:5", "--trace", "/dev/full"] + Self.quick)
        #expect(run.status == 1)
        #expect(run.complaints.contains("the trace /dev/full ends here"))
        let answer = run.output.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(!answer.isEmpty)
        let output = FileHandle(forWritingAtPath: "/dev/full")
        let process = Process()
        process.executableURL = try ProgramRun.executable
        process.arguments = ["methods"]
        process.standardOutput = output
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 1)
    }

    @Test func compareSetsMethodsSideBySide() throws {
        let run = try program.run(
            ["compare", "Say hello.", "--methods", "greedy,sample,best-of-n,transfer-q", "--reward", "length:5"]
                + ["-n", "2"] + Self.quick)
        #expect(run.status == 0, "\(run.complaints)")
        for name in ["greedy", "sample", "best-of-n", "transfer-q"] {
            #expect(run.output.contains("── \(name)\n"))
            #expect(run.output.split(separator: "\n").contains { $0.hasPrefix("\(name) ") })
        }
    }

    @Test func everyMethodAnswersAndTheHTMLPageHoldsThem() throws {
        let methods = "greedy,sample,best-of-n,args,cd,transfer-q,transfer-q-indirect,transfer-q-soft"
        let arguments =
            ["compare", "Say <hello>.", "--methods", methods, "--reward", "length:5", "-n", "2", "--rollouts", "2"]
            + ["--baseline-system", "Be brief."] + Self.quick
        let html = try program.run(arguments + ["--format", "html"])
        #expect(html.status == 0, "\(html.complaints)")
        for name in methods.split(separator: ",") { #expect(html.output.contains("<h2>\(name)</h2>")) }
        #expect(html.output.contains("Say &lt;hello&gt;."))
        #expect(!html.output.contains("http"))
        let json = try program.run(arguments + ["--format", "json"])
        let objects = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
        #expect(objects.count == 8)
        for object in objects.dropFirst(3) { #expect((object["outsideProbability"] as? Double ?? 2) < 1) }
        let indirect = try #require(objects.first { ($0["method"] as? [String: Any])?["beta"] != nil })
        let size = try #require(indirect["effectiveSampleSize"] as? Double)
        #expect(size >= 1 && size <= 2)
    }

    @Test func indirectTransferSaysWhatItLoses() throws {
        // A reward that says nothing a baseline could be told.
        let alone = ["generate", "Hi.", "--method", "transfer-q-indirect", "--reward", "regex:e"] + Self.quick
        let nothing = try program.run(alone)
        #expect(nothing.status == 0 && nothing.complaints.contains("nothing to correct"))
        let base = alone + ["--baseline-system", "Be brief."]
        let one = try program.run(base + ["--rollouts", "1"])
        #expect(one.status == 0 && one.complaints.contains("with one rollout the weight cancels"))
        let greedy = try program.run(base + ["--rollouts", "1", "--rollout-temperature", "0"])
        #expect(greedy.status == 0 && greedy.complaints.contains("no draws from the baseline"))
        let several = try program.run(base + ["--rollouts", "2"])
        #expect(several.status == 0 && !several.complaints.contains("transfer-q-indirect:"))
    }

    @Test func klBudgetAndBlocksWorkWithTheRealModel() throws {
        let base = ["generate", "Name a tree.", "--reward", "length:9", "--format", "json"] + Self.quick
        let free = try ProgramRun.run(base + ["--alpha", "0.01"]).answer()
        let kept = try ProgramRun.run(base + ["--alpha", "0.01", "--kl-budget", "0.8"])
        #expect(kept.status == 0, "\(kept.complaints)")
        let spent = try #require(try kept.answer().kl)
        #expect(spent <= 0.8)
        let unbounded = try #require(free.nats)
        #expect(unbounded > 0.8)
        let blocks = try ProgramRun.run(base + ["--blockwise", "2"])
        #expect(blocks.status == 0, "\(blocks.complaints)")
        #expect(try blocks.answer().usage.completionTokens <= 5)
    }

    @Test func interruptionKeepsWhatThereIs() throws {
        for extra in [["--method", "sample"], ["--reward", "length:500", "--k", "40", "--horizon", "60"]] {
            let clock = ContinuousClock()
            var sent = clock.now
            let run = try ProgramRun.run(
                ["generate", "Tell a very long story.", "--max-tokens", "2000", "--format", "json"] + extra
            ) { process in
                Thread.sleep(forTimeInterval: 3)
                sent = clock.now
                process.interrupt()
            }
            #expect(clock.now - sent < .seconds(1))
            #expect(run.status == 130 && !run.wasSignalled, "\(run.complaints)")
            #expect(try run.answer().finishReason == "cancelled")
        }
    }

    @Test func interruptionWhileTheModelLoadsIsQuick() throws {
        let clock = ContinuousClock()
        for delay in [0.1, 0.3, 0.6] {
            let cache = try TemporaryFolder()
            var sent = clock.now
            let run = try ProgramRun.run(
                ["generate", "Hi.", "--max-tokens", "4000", "--model", RealModel.path()],
                environment: ["TRANSFERQ_CACHE": cache.url.path]
            ) { process in
                Thread.sleep(forTimeInterval: delay)
                sent = clock.now
                process.interrupt()
            }
            #expect(clock.now - sent < .seconds(1))
            // Before the program listens, the signal itself ends it.
            #expect(run.status == 130 || (run.wasSignalled && run.status == SIGINT), "\(run.complaints)")
        }
    }

    @Test func runsFromAnyFolderWithoutAnEnvironment() throws {
        let process = Process()
        process.executableURL = try ProgramRun.executable
        process.arguments = ["methods"]
        process.environment = [:]
        process.currentDirectoryURL = URL(filePath: "/")
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(output.contains("transfer-q"))
    }
}
