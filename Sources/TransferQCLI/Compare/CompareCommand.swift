import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRewards
import TransferQRuntime

struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Answer a prompt by several methods and set the answers side by side.",
        usage: "transferq compare [<prompt>] [--methods <methods>] [<options>]",
        discussion: """
            Parameters go to the methods that know them. The prompts are read before the clocks start.

              transferq compare "How do I make tea?" --methods sample,transfer-q \\
                --reward length:30

            With --prompts, the methods answer all prompts of a file, and a table compares them with the first one:

              transferq compare --prompts eval.jsonl.gz --limit 40 \\
                --methods greedy,args,transfer-q --reward head:Rewards/harmless.json \\
                --output harmless.run
            """)

    @OptionGroup(title: "Prompt") var prompt: PromptOptions
    @OptionGroup(title: "Models") var models: ModelOptions
    @OptionGroup(title: "Answer") var answer: AnswerOptions
    @OptionGroup(title: "Parameters of methods") var parameters: MethodOptions
    @OptionGroup(title: "Many prompts") var set: PromptSetOptions

    @Option(
        help: """
            The methods, split by commas, each with parameters of its own if need be, as in cd,cd[alpha=0.5]. "transferq \
            methods NAME" shows the parameters of a method.
            """)
    var methods = "sample,transfer-q"

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case text, json, html
    }

    @Option(help: "text, a JSON array with an object for each method, or a self-contained HTML page.")
    var format: Format = .text

    @Flag(help: "Draw the candidates of every step on standard error.")
    var showCandidates = false

    func run() async throws {
        let entries = try MethodEntry.list(methods, shared: parameters.values)
        guard !entries.isEmpty else { throw UsageError("name at least one method, as in --methods sample,transfer-q") }
        // Refuses a parameter that none of them knows.
        _ = try DecodingMethods.make(entries.map(\.method.name), sharing: parameters.values)
        let configured = try entries.map { try $0.method.configured() }
        try answer.check(methods: configured)
        if let file = set.prompts {
            return try await PromptSetComparison(command: self, methods: entries, file: file).run()
        }
        guard entries.allSatisfy({ $0.baseline == nil }) else {
            throw UsageError("methods name a baseline of their own with --prompts only; leave baseline= out")
        }
        let runtime = try models.runtime(rewardTimeout: answer.rewardTimeout)
        let (summaries, prepared, open) = try await Interruption.cancellable {
            let prepared = try await runtime.prepare(
                answer.request(prompt.conversation(), form: prompt.form, method: entries[0].method),
                methods: configured)
            for notice in prepared.notices + prepared.prompts[0].notices { Console.sayOnce(notice) }
            let open = try await prepared.open(0)
            // The methods share the prompt, so none is charged for it.
            try await open.readPrompts()
            let view = CandidateView(tokenizer: prepared.models.tokenizer)
            var summaries: [GenerationSummary] = []
            for (entry, method) in zip(entries, configured) {
                if format == .text { Console.print("── \(entry.label)") }
                let streams = format == .text && !showCandidates
                let summary = try await open.answer(by: method) { event in
                    event.say()
                    guard case .step(let step) = event else { return }
                    if streams { Console.print(step.text, terminator: "") }
                    if showCandidates { Console.draw(view.lines(step)) }
                }
                if format == .text { Console.print((streams ? "" : summary.response) + "\n") }
                summaries.append(summary)
                if summary.finishReason == .cancelled { break }
            }
            return (summaries, prepared, open)
        }
        switch format {
        case .text: Console.print(table(summaries, entries))
        case .html:
            Console.print(ComparisonPage(conversation: open.messages, rows: cells(summaries, entries)).html())
        case .json:
            let sources = try await SourceReport(prepared.models)
            let reports = zip(summaries, configured).map {
                AnswerReport($0, method: $1, prompt: open, sources: sources)
            }
            Console.print(try JSON.pretty(reports))
        }
        if summaries.last?.finishReason == .cancelled { throw CancellationError() }
        if summaries.contains(where: { $0.finishReason == .failed }) { throw ExitCode.failure }
    }

    private func table(_ summaries: [GenerationSummary], _ methods: [MethodEntry]) -> String {
        TextTable.text([ComparisonPage.columns] + cells(summaries, methods).map(\.figures))
    }

    /// The answer and the figures of each method.
    private func cells(_ summaries: [GenerationSummary], _ methods: [MethodEntry]) -> [ComparisonPage.Row] {
        zip(summaries, methods).map { summary, method in
            let figures = [
                method.label, summary.reward.map { $0.fixed(3) } ?? "–",
                summary.kl.map { summary.klKind.cell($0) } ?? "–",
                "\(summary.usage.completionTokens)", "\(summary.usage.rolloutTokens)",
                summary.usage.seconds.fixed(1),
            ]
            return ComparisonPage.Row(answer: summary.response, figures: figures)
        }
    }
}
