import ArgumentParser
import TransferQConsole

struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Compare methods on many prompts, with rewards that guide nothing, metrics and a judge.",
        discussion: """
            A configuration in YAML names prompts, models, rewards, methods and metrics; a run leaves a folder, which every \
            table and report is made of without a model.

              transferq evaluate run Examples/Evaluation/quick.yaml
              transferq evaluate table quick.run
            """,
        subcommands: [
            EvaluateRunCommand.self, EvaluateScoreCommand.self, EvaluateMergeCommand.self, EvaluateTableCommand.self,
            EvaluateReportCommand.self, EvaluateReportCompareCommand.self, EvaluateReportFrontierCommand.self,
        ])
}
