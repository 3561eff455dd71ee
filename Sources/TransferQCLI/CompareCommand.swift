import ArgumentParser
import Foundation
import TransferQ
import TransferQLlama

struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Answer a prompt by several methods and set the answers side by side.",
        discussion: """
            Parameters go to the methods that know them. The prompts are read before the clocks start.

              transferq compare "How do I make tea?" --methods sample,transfer-q --reward length:30
            """)

    @OptionGroup(title: "Models") var models: ModelOptions
    @OptionGroup(title: "Prompt") var prompt: PromptOptions
    @OptionGroup(title: "Answer") var answer: AnswerOptions

    @Option(help: "The methods, split by commas.")
    var methods = "sample,transfer-q"

    @OptionGroup(title: "Method parameters (see: transferq methods)") var parameters: MethodOptions

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case text, json, html
    }

    @Option(help: "text, a JSON array with an object for each method, or a self-contained HTML page.")
    var format: Format = .text

    @Flag(help: "Draw the candidates of every step on standard error.")
    var showCandidates = false

    func run() async throws {
        let names = methods.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        guard !names.isEmpty else { throw UsageError("name at least one method, as in --methods sample,transfer-q") }
        let configured = try DecodingMethods.make(names, sharing: parameters.values)
        let (summaries, session) = try await Interruption.cancellable {
            let session = try await Session.open(models: models, prompt: prompt, answer: answer, methods: configured)
            try answer.check(methods: configured)
            // The methods share the prompt, so none is charged for it.
            try await session.readPrompts()
            let view = CandidateView(vocabulary: session.model.vocabulary)
            var summaries: [GenerationSummary] = []
            for method in configured {
                if format == .text { Console.print("── \(method.name)") }
                let streams = format == .text && !showCandidates
                let summary = try await session.run(method) { step in
                    if streams { Console.print(step.text, terminator: "") }
                    if showCandidates { Console.draw(view.lines(step)) }
                }
                if format == .text { Console.print((streams ? "" : summary.response) + "\n") }
                summaries.append(summary)
                if summary.finishReason == .cancelled { break }
            }
            return (summaries, session)
        }
        switch format {
        case .text: Console.print(table(summaries, configured))
        case .html:
            Console.print(ComparisonPage(conversation: session.conversation, rows: cells(summaries, configured)).html())
        case .json:
            let sources = try SourceReport(session)
            let reports = zip(summaries, configured).map {
                AnswerReport($0, method: $1, session: session, sources: sources)
            }
            Console.print(try JSON.pretty(reports))
        }
        if summaries.last?.finishReason == .cancelled { throw CancellationError() }
    }

    private func table(_ summaries: [GenerationSummary], _ methods: [ConfiguredMethod]) -> String {
        TextTable.text([ComparisonPage.columns] + cells(summaries, methods).map(\.figures))
    }

    /// The answer and the figures of each method.
    private func cells(_ summaries: [GenerationSummary], _ methods: [ConfiguredMethod]) -> [ComparisonPage.Row] {
        zip(summaries, methods).map { summary, method in
            let figures = [
                method.name, summary.reward.map { String(format: "%.3f", $0) } ?? "–",
                summary.kl.map { (summary.klIsBound ? "≤ " : "") + String(format: "%.2f", $0) } ?? "–",
                "\(summary.usage.completionTokens)", "\(summary.usage.rolloutTokens)",
                String(format: "%.1f", summary.usage.seconds),
            ]
            return ComparisonPage.Row(answer: summary.response, figures: figures)
        }
    }
}

/// Columns of text, the first to the left, the others to the right.
enum TextTable {
    static func text(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).enumerated().map { column, cell in
                let space = String(repeating: " ", count: cell.1 - cell.0.count)
                return column == 0 ? cell.0 + space : space + cell.0
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
