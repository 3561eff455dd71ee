import Foundation
import Testing
import TransferQEvaluation

/// The page as a reader has it, in Chromium.
@Suite struct ReportInBrowserTests {
    @Test func thePageShowsWhatTheFilesHold() throws {
        let fixture = try ReportFixture()
        let report = fixture.run.url.appending(path: "report")
        try EvaluationReport(fixture.contents()).write([.html, .csv], to: report)
        let scripts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "scripts")
        let process = Process()
        process.executableURL = scripts.appending(path: "test-page")
        let pictures = ProcessInfo.processInfo.environment["TRANSFERQ_SCREENSHOTS"]
        process.arguments = [fixture.run.url.path, report.path] + (pictures.map { [$0] } ?? [])
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        // Its files go with it.
        withExtendedLifetime(fixture) {}
    }
}
