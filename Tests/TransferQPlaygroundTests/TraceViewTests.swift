import Foundation
import TestSupport
import Testing

/// `transferq trace view`, and its page and the playground in Chromium.
@Suite struct TraceViewTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    private let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    private func view(_ trace: String, _ page: String? = nil) throws -> ProgramRun {
        try ProgramRun.run(["trace", "view", trace] + (page.map { ["--output", $0] } ?? []), folder: scratch.url)
    }

    @Test func whatIsNoTraceIsRefused() throws {
        let step = #"{"step":0,"text":"a","candidates":[{"text":"a","logProbability":"-inf"}]}"# + "\n"
        for (name, content, sentence) in [
            ("text.jsonl", "nothing\n", "line 1 of text.jsonl is no step of a trace"),
            ("answers.jsonl", step + "\n" + #"{"response":"a"}"#, "line 3 of answers.jsonl is no step of a trace"),
            ("empty.jsonl", "\n\n", "empty.jsonl holds no step"),
        ] {
            try Data(content.utf8).write(to: scratch.file(name))
            let run = try view(name, "page.html")
            #expect(run.status == 64 && run.complaints.contains(sentence), "\(name): \(run.complaints)")
            #expect(!FileManager.default.fileExists(atPath: scratch.file("page.html").path))
        }
        try Data([0x7b, 0xff, 0x0a]).write(to: scratch.file("bytes.jsonl"))
        try Data(step.utf8).write(to: scratch.file("good.jsonl"))
        for (trace, page, sentence) in [
            ("missing.jsonl", "page.html", "missing.jsonl is no readable UTF-8 file"),
            ("bytes.jsonl", "page.html", "bytes.jsonl is no readable UTF-8 file"),
            ("good.jsonl", "good.jsonl", "would overwrite the trace"),
            ("good.jsonl", "nowhere/page.html", "nowhere/page.html cannot be written"),
        ] {
            let run = try view(trace, page)
            #expect(run.status != 0 && run.complaints.contains(sentence), "\(trace): \(run.complaints)")
        }
        let run = try view("good.jsonl")
        #expect(run.status == 0 && run.output == "good.html\n", "\(run.output) \(run.complaints)")
        #expect(FileManager.default.fileExists(atPath: scratch.file("good.html").path))
    }

    /// With `TRANSFERQ_SCREENSHOTS=FOLDER` it leaves pictures at three widths, light and dark.
    @Test func thePageDoesWhatAPersonDoes() throws {
        for name in ["guided", "hostile"] {
            let trace = Self.folder.appending(path: "traces/\(name).jsonl").path
            let run = try view(trace, "\(name).html")
            #expect(run.status == 0, "\(run.complaints)")
        }
        let process = Process()
        process.executableURL = Self.folder.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "scripts/test-playground")
        let pictures = ProcessInfo.processInfo.environment["TRANSFERQ_SCREENSHOTS"]
        process.arguments = [scratch.url.path] + (pictures.map { [$0] } ?? [])
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        // Its files go with it.
        withExtendedLifetime(scratch) {}
    }
}
