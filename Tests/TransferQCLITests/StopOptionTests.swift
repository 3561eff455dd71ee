import TestSupport
import Testing

/// `--stop` on a random model.
@Suite struct StopOptionTests {
    @Test func theAnswerEndsBeforeTheText() throws {
        let program = try SharpProgram()
        let arguments = ["generate", "abc", "--method", "greedy", "--max-tokens", "16"]
        let whole = try program.run(arguments)
        #expect(whole.status == 0, "\(whole.complaints)")
        let text = whole.output.dropLast()
        try #require(text.count > 8)
        let stop = String(text.dropFirst(5).prefix(2))
        let place = try #require(text.firstRange(of: stop)?.lowerBound)
        let run = try program.run(arguments + ["--stop", "nowhere to be found", "--stop", stop])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.output == text[..<place] + "\n")
        let empty = try program.run(arguments + ["--stop", ""])
        #expect(empty.status == 64 && empty.complaints.contains("stop must be a text"))
    }
}
