import ArgumentParser
import Foundation
import TransferQConsole
import TransferQEvaluation
import TransferQLlama

struct EvaluateScoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "score",
        abstract: "Work out what is missing of a run's gold rewards, metrics and judgements; no answer is made again.",
        discussion: """
            With --configuration, the gold rewards, metrics and the judge of that file are added to the run's own. What a \
            judge behind an address will be asked, and about what that costs, is said before it is asked.

              transferq evaluate score quick.run
              transferq evaluate score quick.run --configuration with-judge.yaml
            """)

    @Argument(help: "The run folder.")
    var folder: String

    @Option(help: "A configuration whose gold rewards, metrics and judge are added.")
    var configuration: String?

    @OptionGroup var options: EvaluateOptions

    func run() async throws {
        let specification = try configuration.map(EvaluationFile.read)
        let folder = RunFolder(folder)
        let made = try await Self.score(folder, specification, options: options, judges: true)
        if made == 0 { Console.say("nothing is missing in \(folder.url.path)") }
        Console.print(try EvaluationTable(folder).text)
    }

    static func scoring(of folder: RunFolder, options: EvaluateOptions) throws -> EvaluationScoring {
        EvaluationScoring(
            folder, encoder: ModelStore.standard.file("all-MiniLM-L6-v2.F32.gguf"),
            makeRuntime: try options.makeRuntime())
    }

    /// - Parameter judges: whether the judge is asked; otherwise it is said how much it would be.
    /// - Returns: what was worked out.
    @discardableResult
    static func score(
        _ folder: RunFolder, _ specification: EvaluationSpec? = nil, options: EvaluateOptions, judges: Bool
    ) async throws -> Int {
        let scoring = try scoring(of: folder, options: options)
        let counter = Counter()
        return try await Interruption.cancellable {
            let made = try await scoring.run(specification) { counter.show($0) }
            guard try folder.specification().specification.judge != nil else { return made }
            let judge = try EvaluationJudge(folder, makeRuntime: options.makeRuntime())
            if judges { return made + (try await judge.run { counter.show($0) }) }
            let plan = try judge.plan()
            if plan.questions > 0 {
                Console.say("\(plan.estimate); transferq evaluate score \(folder.url.path) asks them")
            }
            return made
        }
    }
}
