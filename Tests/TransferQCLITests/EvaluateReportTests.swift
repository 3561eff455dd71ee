import Foundation
import TestSupport
import Testing
import TransferQEvaluation

/// `transferq evaluate report`, `compare` and `frontier`, on runs of a random model.
@Suite struct EvaluateReportTests {
    private let program: SharpProgram
    private var folder: TemporaryFolder { program.folder }

    init() throws {
        program = try SharpProgram()
        let prompts = (0..<3).map { "{\"prompt\": \"Prompt number \($0)\"}\n" }.joined()
        try Data(prompts.utf8).write(to: folder.file("p.jsonl"))
        let configuration = """
            prompts: {file: p.jsonl}
            model: \(program.model)
            baselines: {other: {system: Be short.}}
            reward: length:4
            gold: {long: "length:9"}
            parameters: {k: 3, horizon: 3}
            methods: [greedy, "transfer-q[alpha=0.2]", "transfer-q[alpha=1]"]
            limits: {maxTokens: 6}
            metrics: [repetition]
            traces: true
            """
        try Data(configuration.utf8).write(to: folder.file("e.yaml"))
        for name in ["one", "two"] {
            let run = try evaluate(["run", "e.yaml", "--output", name])
            #expect(run.status == 0, "\(run.complaints)")
        }
    }

    private func evaluate(_ arguments: [String]) throws -> ProgramRun {
        try ProgramRun.run(
            ["evaluate"] + arguments, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url)
    }

    private func text(_ path: String) throws -> String { try String(contentsOf: folder.file(path), encoding: .utf8) }

    @Test func aReportIsWrittenFromTheFilesAlone() throws {
        // No model is needed.
        try FileManager.default.removeItem(atPath: program.model)
        let run = try evaluate(["report", "one"])
        #expect(run.status == 0, "\(run.complaints)")
        let files = Set(run.output.split(separator: "\n").map { URL(filePath: String($0)).lastPathComponent })
        #expect(files.isSuperset(of: ["report.html", "report.md", "table.csv", "answers.csv", "gold-1-alpha.svg"]))
        for file in files { #expect(try !text("one/report/\(file)").isEmpty) }
        let page = try text("one/report/report.html")
        #expect(page.contains("transfer-q[<wbr>alpha=0.2]") && page.contains("\"traces\":{\""))
        let again = try evaluate(["report", "one", "--format", "html,csv", "--output", "again", "--traces", "0"])
        #expect(again.status == 0, "\(again.complaints)")
        #expect(try text("again/table.csv") == text("one/report/table.csv"))
        #expect(try text("again/report.html").contains("answers are left out to keep the page small"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("again").path).count == 3)
    }

    /// `make install` installs one file.
    @Test func thePageIsInTheProgramItself() throws {
        let copy = folder.file("transferq")
        try FileManager.default.copyItem(at: ProgramRun.executable, to: copy)
        let process = Process()
        process.executableURL = copy
        process.arguments = ["evaluate", "report", "one", "--format", "html"]
        process.currentDirectoryURL = folder.url
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        #expect(try text("one/report/report.html").contains("function showAnswers()"))
    }

    @Test func aFrontierHasItsPeak() throws {
        let run = try evaluate(["frontier", "one"])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.output.hasPrefix("transfer-q\nalpha") && run.output.contains("gold long: transfer-q: highest mean"))
        let json = try evaluate(["frontier", "one", "--format", "json"])
        let frontier = try JSONDecoder().decode(Frontier.self, from: Data(json.output.utf8))
        #expect(frontier.families.map { $0.points.map(\.setting) } == [[1, 0.2]])
    }

    @Test func runsAreCompared() throws {
        let run = try evaluate(["compare", "one", "two", "--output", "both"])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.output.contains("| two: greedy | 0.000 (0.000 to 0.000) |"), "\(run.output)")
        #expect(try text("both/report.html").contains("one: transfer-q[<wbr>alpha=1]"))
    }

    @Test func badInputGetsASentence() throws {
        let cases: [([String], Int32, String)] = [
            (["report", "nothing"], 64, "is no run folder: it holds no specification.json"),
            (["report", "one", "--format", "pdf"], 64, "--format knows html, markdown, csv, svg, not \"pdf\""),
            (["report", "one", "--traces", "-1"], 64, "--traces must be between 0 and 1000 megabytes"),
            (["report", "one", "--output", "e.yaml"], 1, "cannot be written"),
            (["frontier", "one", "--over", "kl-budget"], 64, "no two methods of one differ in kl-budget alone"),
            (["compare", "one"], 64, "name at least two runs"),
            (["compare", "one", "one"], 64, "two runs have the same name"),
            (["compare", "one", "two", "--reference", "x"], 64, "no method is called \"x\""),
        ]
        for (arguments, status, sentence) in cases {
            let run = try evaluate(arguments)
            #expect(run.status == status && !run.wasSignalled, "\(arguments): \(run.complaints)")
            #expect(run.complaints.contains(sentence), "\(arguments): \(run.complaints)")
        }
    }
}
