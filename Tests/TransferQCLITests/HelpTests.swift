import TestSupport
import Testing

/// The help of the commands that most people use.
@Suite struct HelpTests {
    /// Two screens of 80 columns and 50 lines.
    @Test(arguments: ["generate", "compare"])
    func helpFitsTwoScreens(command: String) throws {
        let run = try ProgramRun.run([command, "--help"], environment: ["COLUMNS": "80"])
        #expect(run.status == 0 && run.complaints.isEmpty)
        let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 100, "\(lines.count) lines")
        for line in lines { #expect(line.count <= 80, "\(line)") }
        #expect(run.output.hasSuffix("\nAll options: transferq \(command) --help-hidden\n"), "\(lines.suffix(3))")
        #expect(try ProgramRun.run(["help", command], environment: ["COLUMNS": "80"]).output == run.output)
    }

    @Test(arguments: ["generate", "compare"])
    func commonOptionsAreShownAndOthersHidden(command: String) throws {
        let help = try ProgramRun.run([command, "--help"]).output
        let whole = try ProgramRun.run([command, "--help-hidden"]).output
        let common = [
            "<prompt>", "--model ", "--reward ", "--baseline ", "--baseline-system ", "--baseline-lora ", "--method",
            "--alpha ", "--k ", "--horizon ", "--max-tokens ", "--seed ", "--output ", "--format ", "--show-candidates",
            "--stop ",
        ]
        for option in common { #expect(help.contains(option), "\(option)") }
        let rare = [
            "--threads ", "--cache-type ", "--rollouts ", "--gate-entropy ", "--time-budget ", "--limit ", "--raw",
        ]
        for option in rare {
            #expect(!help.contains("  \(option)"), "\(option)")
            #expect(whole.contains("  \(option)"), "\(option)")
        }
        #expect(!whole.contains("All options:"))
        let words = help.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(
            words.contains("the k most likely tokens (default: 10).") && words.contains("(default: 1 spread of the"))
    }

    /// A command that hides nothing says nothing of hidden options.
    @Test func otherHelpHasNoClosingLine() throws {
        for command in ["methods", "theory", "reward"] {
            let run = try ProgramRun.run([command, "--help"])
            #expect(run.status == 0 && !run.output.contains("--help-hidden"), "\(command)")
        }
        #expect(try ProgramRun.run(["--version"]).output == "0.1.0\n")
    }
}
