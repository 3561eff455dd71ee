import ArgumentParser
import Foundation
import TransferQConsole
import TransferQEvaluation

struct EvaluateReportCompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare the methods of several runs.",
        discussion: """
            Methods are called RUN: METHOD. Answers to the same prompt under the same seed are pairs; prompts that a run \
            has no answer to are left out, and so are rewards that the runs computed in different ways.

              transferq evaluate compare runs/first runs/second
              transferq evaluate compare runs/first runs/second --reference "second: greedy" --output comparison
            """)

    @Argument(help: "The folders of at least two runs.") var runs: [String]
    @Option(help: "RUN: METHOD that differences are counted against (default: the first run's reference).")
    var reference: String?
    @Option(name: [.short, .long], help: "Write a report into this folder as well; otherwise tables are printed only.")
    var output: String?

    func validate() throws {
        guard runs.count >= 2 else {
            throw ValidationError("name at least two runs; one by itself is for evaluate report")
        }
    }

    func run() throws {
        let joined = try RunContents.joined(runs.map { try RunContents(RunFolder($0)) }, reference: reference)
        for note in joined.notes { Console.say(note) }
        let report = try EvaluationReport(joined.run)
        Console.print(report.markdown(pictures: false), terminator: "")
        guard let output else { return }
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        for file in try report.write(Set(EvaluationReport.Format.allCases), to: folder) {
            Console.say("wrote \(file.relativePath)")
        }
    }
}
