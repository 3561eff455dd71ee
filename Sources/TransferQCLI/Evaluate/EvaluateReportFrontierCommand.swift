public import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
public import TransferQEvaluation

struct EvaluateReportFrontierCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frontier",
        abstract: "Show rewards over alpha, or over the KL budget, with the peak of each gold reward.",
        discussion: """
            Methods of the run that differ in that parameter alone are a family. Where the guiding reward goes on rising \
            and a gold reward falls, the method over-optimises.

              transferq evaluate frontier runs/first
              transferq evaluate frontier runs/first --over kl-budget --format json
            """)

    @Argument(help: "The folder of a run.") var folder: String
    @Option(help: "alpha or kl-budget.") var over: Frontier.Setting = .alpha
    @Option(help: "text or json.") var format: OutputFormat = .text

    func run() throws {
        let contents = try RunContents(RunFolder(folder))
        let frontier = Frontier(contents, over: over)
        guard !frontier.families.isEmpty else {
            throw UsageError(
                "no two methods of \(folder) differ in \(over.rawValue) alone; run, for example, the methods "
                    + "\"transfer-q[\(over.rawValue)=0.5]\" and \"transfer-q[\(over.rawValue)=1]\"")
        }
        Console.print(format == .json ? try JSON.pretty(frontier) : try text(frontier, contents))
    }

    private func text(_ frontier: Frontier, _ run: RunContents) throws -> String {
        let shown = run.table.columns.filter { $0.id == "reward" || $0.id.hasPrefix("gold:") || $0.id == "kl" }
        var parts: [String] = []
        for family in frontier.families {
            let columns = shown.filter { column in family.points.contains { $0.values[column.id] != nil } }
            let rows = family.points.map { point in
                [point.setting.significant(4)] + columns.map { point.values[$0.id]?.text ?? "–" }
            }
            parts.append(family.name + "\n" + TextTable.text([[over.rawValue] + columns.map(\.title)] + rows))
        }
        for column in shown where column.id.hasPrefix("gold:") {
            parts.append(frontier.sentences(column.id).map { "\(column.title): \($0)" }.joined(separator: "\n"))
        }
        return parts.joined(separator: "\n\n")
    }
}

extension Frontier.Setting: ExpressibleByArgument {}
