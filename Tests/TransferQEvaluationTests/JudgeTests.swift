import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// A judge on a scripted server.
@Suite struct JudgeTests {
    private final class Server: Sendable {
        let port: Int
        private let process: Process
        /// The server ends when it is closed, so that none outlives the tests.
        private let leash = Pipe()
        let log: URL

        init(_ folder: TemporaryFolder) throws {
            log = folder.file("log.jsonl")
            process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "judge_server.py").path
            process.arguments = ["python3", script, log.path]
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardInput = leash
            process.standardError = FileHandle.nullDevice
            try process.run()
            var line = Data()
            while line.last != UInt8(ascii: "\n"), let next = try pipe.fileHandleForReading.read(upToCount: 1) {
                line += next
            }
            port = Int(String(decoding: line.dropLast(), as: UTF8.self)) ?? 0
        }

        deinit { try? leash.fileHandleForWriting.close() }  // it is closed with the process at the latest

        struct Question: Decodable {
            let path: String
            let key: String?
            let temperature: Double
            let longest: Int
            let messages: [Message]

            private enum CodingKeys: String, CodingKey {
                case path, key, temperature, messages
                case longest = "max_tokens"
            }
        }

        func questions() throws -> [Question] {
            guard let data = FileManager.default.contents(atPath: log.path) else { return [] }
            return try data.split(separator: UInt8(ascii: "\n")).map {
                try JSONDecoder().decode(Question.self, from: $0)
            }
        }
    }

    private let temporary: TemporaryFolder
    private let server: Server
    private let folder: RunFolder

    /// Three prompts; args has more letters "a" in the first, fewer in the second, as many in the third, and is always longer.
    init() throws {
        temporary = try TemporaryFolder()
        server = try Server(temporary)
        folder = RunFolder(temporary.file("run").path)
    }

    private let texts: [(greedy: String, args: String)] = [
        ("b", "a a a b b"), ("a a a", "b b b b b b"), ("a b", "a b b b b"),
    ]

    private func write(judge: String, more: String = "") throws {
        try FileManager.default.createDirectory(at: folder.url, withIntermediateDirectories: true)
        let spec = try EvaluationSpec(
            json: Data(
                """
                {"prompts": {"file": "p"}, "methods": ["greedy", "args"], "reward": "length:3", "judge":
                 {"model": "\(judge)", "endpoint": "http://127.0.0.1:\(server.port)/v1", "inputPrice": 1, "outputPrice": 2,
                  "maxTokens": 100\(more)}}
                """.utf8), path: "e.json")
        let record = RunSpecification(spec, settings: RunSettings(), program: "test")
        try Data(JSON.line(record).utf8).write(to: folder.specificationFile)
        let lines = try texts.enumerated().flatMap { prompt, texts in
            try [("greedy", texts.greedy), ("args", texts.args)].map { method, text in
                try JSON.line(
                    AnswerLine(
                        AnswerPlace(prompt: prompt, promptHash: "\(prompt)", method: method, seed: 0),
                        messages: [Message(role: "user", content: "Question \(prompt)?")], response: text, tokens: [1],
                        finish: .stop, answer: "\(method)\(prompt)"))
            }
        }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: folder.answersFile)
    }

    private func judge() throws -> EvaluationJudge {
        try EvaluationJudge(folder, pauses: [0.01, 0.01]) { model, baseline in
            Runtime(engine: LlamaEngine(), model: model, baseline: baseline)
        }
    }

    private func summary() throws -> JudgementSummary {
        let summaries = try EvaluationTable(folder).judgements
        try #require(summaries.count == 1)
        return summaries[0]
    }

    @Test func pairsAreJudgedInBothOrdersAndNeverTwice() async throws {
        try write(judge: "letters")
        let plan = try judge().plan()
        #expect(plan.questions == 6 && plan.outputTokens == 600)
        #expect(abs((plan.cost ?? 0) - (Double(plan.inputTokens) + 1200) / 1e6) < 1e-12)
        #expect(plan.estimate.contains("6 questions"))
        #expect(try await judge().run { _ in } == 6)
        let questions = try server.questions()
        #expect(questions.count == 6 && questions.allSatisfy { $0.path == "/v1/chat/completions" && $0.key == nil })
        #expect(questions.allSatisfy { $0.temperature == 0 && $0.longest == 100 })
        #expect(questions.allSatisfy { $0.messages[0].content.contains("Question ") })
        let summary = try summary()
        #expect((summary.wins, summary.ties, summary.losses) == (1, 1, 1))
        #expect(summary.flips.hits == 0 && summary.flips.count == 3 && summary.uncounted == 0)
        #expect(summary.winRate.mean == 0.5 && summary.winTieRate.mean == 2.0 / 3 && !summary.isDifferent)
        #expect(summary.score.mean == (4 + 1 + 2) / 3.0 && summary.scoreAgainst.mean == (1 + 4 + 2) / 3.0)
        // Of the four replies with a winner, two name the first.
        #expect(summary.firstPreferred.hits == 2 && summary.firstPreferred.count == 4)
        #expect(try await judge().run { _ in } == 0)
        #expect(try server.questions().count == 6)
    }

    /// A verdict that depends on the order is a tie.
    @Test func aJudgeThatLikesTheFirstDecidesNothing() async throws {
        try write(judge: "first")
        _ = try await judge().run { _ in }
        let summary = try summary()
        #expect((summary.wins, summary.ties, summary.losses) == (0, 3, 0) && summary.flips.hits == 3)
        #expect(summary.firstPreferred.hits == 6 && summary.winRate.mean == 0.5)
        let lines = try folder.judgements()
        #expect(lines.allSatisfy { $0.order == .ab ? $0.scoreA == 9 : $0.scoreA == 3 })
    }

    @Test func repliesWithoutPointsDoNotCount() async throws {
        try write(judge: "silent")
        _ = try await judge().run { _ in }
        let summary = try summary()
        #expect(summary.uncounted == 3 && summary.winRate.clusters == 0)
        #expect(try folder.judgements().allSatisfy { $0.scoreA == nil && $0.raw == "I would rather not say." })
        #expect(try EvaluationTable(folder).text.contains("silent at http://127.0.0.1"))
    }

    @Test func aServerThatFailsIsAskedAgain() async throws {
        try write(judge: "shaky", more: #", "limit": 1, "parallel": 1"#)
        #expect(try await judge().run { _ in } == 2)
        #expect(try server.questions().count == 4)
    }

    @Test func whatWasAnsweredIsKept() async throws {
        try write(judge: "breaking", more: #", "parallel": 1"#)
        await #expect(throws: EvaluationError.self) { _ = try await judge().run { _ in } }
        #expect(try folder.judgements().count == 3)
        #expect(try judge().plan().questions == 3)
    }

    @Test func keysComeFromFilesAndVariables() async throws {
        try write(judge: "locked", more: #", "limit": 1"#)
        do {
            _ = try await judge().run { _ in }
            Issue.record("it has no key")
        } catch { #expect("\(error)".contains("keyVariable or keyFile"), "\(error)") }
        let key = temporary.file("key")
        try Data("secret\n".utf8).write(to: key)
        try write(judge: "locked", more: #", "limit": 1, "keyFile": "\#(key.path)""#)
        #expect(try await judge().run { _ in } == 2)
        try write(judge: "locked", more: #", "keyVariable": "TRANSFERQ_NO_SUCH_KEY""#)
        do {
            _ = try judge()
            Issue.record("the variable is not set")
        } catch { #expect("\(error)".contains("TRANSFERQ_NO_SUCH_KEY"), "\(error)") }
        // A key is never written down.
        let record = try String(contentsOf: folder.specificationFile, encoding: .utf8)
        #expect(!record.contains("secret"))
    }

    @Test func equalQuestionsAreAskedOnce() async throws {
        try write(judge: "letters")
        _ = try await judge().run { _ in }
        // Another method that says the same.
        var text = try String(contentsOf: folder.specificationFile, encoding: .utf8)
        let entry = "{\"label\":\"args\",\"name\":\"args\"}"
        try #require(text.contains(entry))
        text = text.replacing(entry, with: entry + ",{\"label\":\"sample\",\"name\":\"sample\"}")
        try Data(text.utf8).write(to: folder.specificationFile)
        let answers = try folder.answers()
        let copies = try answers.filter { $0.method == "args" }.map { line in
            var line = line
            line.method = "sample"
            line.answer = "sample\(line.prompt)"
            return try JSON.line(line) + "\n"
        }
        try Data((answers.map { try JSON.line($0) + "\n" } + copies).joined().utf8).write(to: folder.answersFile)
        #expect(try judge().plan().questions == 0)
        #expect(try await judge().run { _ in } == 6)
        #expect(try server.questions().count == 6)
        let summaries = try EvaluationTable(folder).judgements
        #expect(summaries.map(\.method) == ["args", "sample"] && summaries[0].wins == summaries[1].wins)
    }

    @Test func pointsAreRead() {
        let good: [(String, Double, Double)] = [
            ("8 7", 8, 7), ("8.5, 7\nBecause …", 8.5, 7), ("\n 10 1 \nThe first …", 10, 1), ("**9 2**", 9, 2),
            ("Scores:\n6/10 7/10", 6, 7), ("[3, 4]", 3, 4),
        ]
        for (reply, first, second) in good {
            let scores = JudgePrompt.scores(in: reply)
            #expect(scores?.first == first && scores?.second == second, "\(reply)")
        }
        for reply in ["", "8", "8 7 6", "11 3", "0 5", "The first gets 8, the second 7.", "eight seven"] {
            #expect(JudgePrompt.scores(in: reply) == nil, "\(reply)")
        }
    }

    /// A model in this process, whatever it says.
    @Test func modelsInThisProcessJudge() async throws {
        try write(judge: "letters")
        let model = "smollm2-135m-instruct"
        var text = try String(contentsOf: folder.specificationFile, encoding: .utf8)
        text = text.replacing(/"endpoint":"[^"]*",/, with: "").replacing(
            "\"model\":\"letters\"", with: "\"model\":\"\(model)\"")
        text = text.replacing("\"maxTokens\":100", with: "\"maxTokens\":3")
        try Data(text.utf8).write(to: folder.specificationFile)
        #expect(try await judge().run { _ in } == 6)
        let lines = try folder.judgements()
        #expect(lines.count == 6 && lines.allSatisfy { $0.judge == model })
        #expect(try server.questions().isEmpty)
    }
}
