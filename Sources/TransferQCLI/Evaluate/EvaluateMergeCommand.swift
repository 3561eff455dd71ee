import ArgumentParser
import TransferQConsole
import TransferQEvaluation

struct EvaluateMergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Put the folders of several runs of one evaluation together, for example its shards.",
        discussion: """
              transferq evaluate merge part-1 part-2 part-3 --output whole
            """)

    @Argument(help: "Run folders.")
    var folders: [String]

    @Option(help: "The new run folder.")
    var output: String

    func run() throws {
        let count = try RunMerge.merge(folders.map { RunFolder($0) }, into: RunFolder(output))
        Console.say("\(count) answers in \(output)")
    }
}
