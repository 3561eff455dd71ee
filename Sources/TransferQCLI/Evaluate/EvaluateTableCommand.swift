import ArgumentParser
import TransferQConsole
import TransferQEvaluation

struct EvaluateTableCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table",
        abstract: "Print what the methods of a run came to, from its folder alone.",
        discussion: """
            Answers to one prompt under several seeds count once. Differences to the reference method are paired by prompt; \
            a star stands where the 95 % interval excludes zero, and only there may one method be called the better.

              transferq evaluate table quick.run
              transferq evaluate table quick.run --format json
            """)

    @Argument(help: "The run folder.")
    var folder: String

    @Option(help: "text or json.")
    var format: OutputFormat = .text

    func run() throws {
        let table = try EvaluationTable(RunFolder(folder))
        Console.print(format == .json ? try JSON.pretty(table) : table.text)
    }
}
