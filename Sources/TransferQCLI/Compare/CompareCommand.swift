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
                --output run.jsonl
            """)

    @OptionGroup(title: "Prompt") var prompt: PromptOptions
    @OptionGroup(title: "Models") var models: ModelOptions
    @OptionGroup(title: "Answer") var answer: AnswerOptions
    @OptionGroup(title: "Parameters of methods") var parameters: MethodOptions
    @OptionGroup(title: "Many prompts") var set: PromptSetOptions

    @Option(
        help: """
            The methods, split by commas. "transferq methods NAME" shows the parameters of a method.
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
        let names = methods.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        guard !names.isEmpty else { throw UsageError("name at least one method, as in --methods sample,transfer-q") }
        let configured = try DecodingMethods.make(names, sharing: parameters.values)
        if let file = set.prompts { return try await compare(configured, on: file) }
        let runtime = try models.runtime(rewardTimeout: answer.rewardTimeout)
        let (summaries, prepared, open) = try await Interruption.cancellable {
            let prepared = try await runtime.prepare(
                answer.request(prompt.conversation(), form: prompt.form, method: MethodSpec(names[0])),
                methods: configured)
            for notice in prepared.notices + prepared.prompts[0].notices { Console.sayOnce(notice) }
            let open = try await prepared.open(0)
            try answer.check(methods: configured)
            // The methods share the prompt, so none is charged for it.
            try await open.readPrompts()
            let view = CandidateView(tokenizer: prepared.models.tokenizer)
            var summaries: [GenerationSummary] = []
            for method in configured {
                if format == .text { Console.print("── \(method.name)") }
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
        case .text: Console.print(table(summaries, configured))
        case .html:
            Console.print(ComparisonPage(conversation: open.messages, rows: cells(summaries, configured)).html())
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

    /// All methods on all prompts of a file, prompt by prompt.
    private func compare(_ methods: [ConfiguredMethod], on file: String) async throws {
        guard prompt.prompt == nil, prompt.file == nil, prompt.messages == nil, !prompt.raw, format != .html,
            !showCandidates
        else { throw UsageError("--prompts goes without another prompt, --raw, --show-candidates and --format html") }
        guard Set(methods.map(\.name)).count == methods.count else {
            throw UsageError("name each method once")
        }
        guard !answer.reward.isEmpty else { throw TransferQError.missingReward(method: "compare --prompts") }
        try answer.check(methods: methods)
        let system = prompt.system.map { [Message(role: "system", content: $0)] } ?? []
        let conversations = try set.records.prompts(file, limit: set.limit).map { system + $0 }
        guard conversations.count >= 2 else {
            throw UsageError("\(file) has one prompt; give at least two, or the prompt itself without --prompts")
        }
        let runtime = try models.runtime(rewardTimeout: answer.rewardTimeout)
        let first = try MethodSpec(methods[0].name)
        let requests = try conversations.enumerated().map { place, messages in
            do { return try answer.request(messages, method: first) } catch {
                throw RequestFailure(place: place, reason: error)
            }
        }
        let settings = try await Interruption.cancellable {
            // Hashes whole models, and is needed only where results are kept.
            guard set.output != nil else { return RunSettings() }
            return try await RunSettings(requests[0], runtime, runtime.rewards(for: requests[0].scoring))
        }
        let keys = try conversations.map(Fingerprint.of)
        let found = try LineFile<PromptResult>(path: set.output, methods: methods, settings: settings)
        let names = Set(methods.map(\.name))
        @Sendable func own(_ results: [PromptResult]) -> [PromptResult] {
            results.filter {
                $0.prompt < conversations.count && names.contains($0.method) && $0.settings.seed == settings.seed
            }
        }
        let known = own(found.records).count
        if known > 0 { Console.say("\(known) answers are there already") }
        let progress = ProgressLine("answers", of: methods.count * conversations.count, known: known)
        try await Interruption.cancellable {
            var results = found
            let open = try conversations.indices.compactMap { index in
                let missing = try methods.filter {
                    !(try results.contains(
                        prompt: index, conversation: keys[index], method: $0.name, seed: settings.seed))
                }
                return missing.isEmpty ? nil : (index: index, methods: missing)
            }
            let prepared = try await prepare(
                open.map { requests[$0.index] }, at: open.map(\.index), runtime,
                methods: methods.filter { method in open.contains { $0.methods.contains { $0.name == method.name } } })
            for (place, (index, missing)) in open.enumerated() {
                guard let prompt = try await prepared?.open(place) else { break }
                try await prompt.readPrompts()
                for method in missing {
                    let summary = try await prompt.answer(by: method) { $0.say() }
                    if summary.finishReason == .cancelled { throw CancellationError() }
                    let result = PromptResult(
                        summary, prompt: index, conversation: keys[index], method: method.name,
                        settings: set.output == nil ? settings : settings.with(method), seed: answer.seed)
                    guard let result else { throw ExitCode.failure }
                    try results.append(result, line: result)
                    progress.update(own(results.records).count)
                }
            }
            // Answers of earlier runs that differ in their seeds only stand for the same prompts.
            let settingsOf = Dictionary(
                uniqueKeysWithValues: methods.map { method in
                    (method.name, (set.output == nil ? settings : settings.with(method)).withoutSeed)
                })
            let counted = results.records.filter {
                $0.prompt < conversations.count && settingsOf[$0.method] == $0.settings.withoutSeed
            }
            let table = PromptSetTable(counted, methods: methods.map(\.name))
            Console.print(format == .json ? try JSON.pretty(table) : table.text)
        }
    }

    /// - Returns: nil without requests.
    private func prepare(
        _ requests: [AnswerRequest], at places: [Int], _ runtime: Runtime, methods: [ConfiguredMethod]
    ) async throws -> PreparedPrompts? {
        guard !requests.isEmpty else { return nil }
        do {
            let prepared = try await runtime.prepare(requests, methods: methods)
            for notice in prepared.notices + prepared.prompts.flatMap(\.notices) { Console.sayOnce(notice) }
            return prepared
        } catch let failure as RequestFailure {
            throw RequestFailure(place: places[failure.place], reason: failure.reason)
        }
    }

    private func table(_ summaries: [GenerationSummary], _ methods: [ConfiguredMethod]) -> String {
        TextTable.text([ComparisonPage.columns] + cells(summaries, methods).map(\.figures))
    }

    /// The answer and the figures of each method.
    private func cells(_ summaries: [GenerationSummary], _ methods: [ConfiguredMethod]) -> [ComparisonPage.Row] {
        zip(summaries, methods).map { summary, method in
            let figures = [
                method.name, summary.reward.map { $0.fixed(3) } ?? "–",
                summary.kl.map { summary.klKind.cell($0) } ?? "–",
                "\(summary.usage.completionTokens)", "\(summary.usage.rolloutTokens)",
                summary.usage.seconds.fixed(1),
            ]
            return ComparisonPage.Row(answer: summary.response, figures: figures)
        }
    }
}
