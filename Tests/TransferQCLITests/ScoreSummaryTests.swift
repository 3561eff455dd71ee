import Foundation
import TestSupport
import Testing

@Suite struct ScoreSummaryTests {
    /// The spread of equal rewards was the seconds that the command took.
    @Test func equalRewardsHaveNoSpread() throws {
        let data = FileManager.default.temporaryDirectory.appending(path: "transferq-equal-\(UUID().uuidString).jsonl")
        defer { try? FileManager.default.removeItem(at: data) }  // a scratch file
        let lines = (0..<3).map { "{\"prompt\": \"Hi\($0)\", \"response\": \"abcd\"}" }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: data)
        let run = try ProgramRun.run(["reward", "score", data.path, "--reward", "length:4"])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.complaints.contains("spread 0.0000, "), "\(run.complaints)")
    }
}
