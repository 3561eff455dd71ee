import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

struct GenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Answer a prompt, steered by a reward.",
        usage: "transferq generate [<prompt>] [--reward <reward> ...] [<options>]",
        discussion: """
            The answer streams to standard output; a line of figures follows on standard error. Ctrl-C stops it, \
            keeps what there is and exits with 130.

              transferq generate "What should I paint?" --reward keywords:ocean
              transferq generate "How do I make tea?" --reward length:30
              transferq generate --file prompt.txt --method greedy
              transferq generate "Say hello." --reward keywords:ahoy,matey \\
                --baseline-system "You are a pirate." --show-candidates
              transferq generate --batch prompts.jsonl --reward length:30 \\
                --output answers.jsonl
            """)

    @OptionGroup(title: "Prompt") var prompt: PromptOptions
    @OptionGroup(title: "Models") var models: ModelOptions
    @OptionGroup(title: "Answer") var answer: AnswerOptions
    @OptionGroup(title: "Parameters of methods") var parameters: MethodOptions
    @OptionGroup(title: "Many prompts") var many: BatchOptions

    @Option(
        help: """
            How to decode: \(DecodingMethods.table.map { $0.name }.joined(separator: ", ")) (default: transfer-q with a \
            reward, sample without). "transferq methods NAME" shows the parameters of a method.
            """)
    var method: String?

    @Option(help: "text, or one JSON object.")
    var format: OutputFormat = .text

    @Option(help: "Write one JSON line a step to this file: candidates, values, rollouts, the choice, KL.")
    var trace: String?

    @Flag(help: "Draw the candidates of every step on standard error; the answer comes at the end.")
    var showCandidates = false

    func run() async throws {
        let spec = try MethodSpec(
            method ?? (answer.reward.isEmpty && answer.value == nil ? SampledDecoding.name : TransferQDirect.name),
            parameters.values)
        let configured = try spec.configured()
        try answer.check(methods: [configured])
        let runtime = try models.runtime(rewardTimeout: answer.rewardTimeout)
        if let file = many.batch { return try await runBatch(spec, configured, runtime, on: file) }
        if let trace, [prompt.file, prompt.messages].contains(trace) {
            throw UsageError("the trace would overwrite the prompt \(trace); choose another file")
        }
        let (summary, prepared, open, lostTrace) = try await Interruption.cancellable {
            let prepared = try await runtime.prepare(
                answer.request(prompt.conversation(), form: prompt.form, method: spec))
            for notice in prepared.notices + prepared.prompts[0].notices { Console.sayOnce(notice) }
            let open = try await prepared.open(0)
            // Only now is it certain that there will be something to trace.
            let trace = try trace.map { try TraceFile(path: $0) }
            let tokenizer = prepared.models.tokenizer
            let view = CandidateView(tokenizer: tokenizer)
            let streams = format == .text && !showCandidates
            let summary = try await open.answer(by: configured) { event in
                event.say()
                guard case .step(let step) = event else { return }
                if streams { Console.print(step.text, terminator: "") }
                if showCandidates { Console.draw(view.lines(step)) }
                try trace?.append(
                    JSON.line(TraceLine(step, tokenizer: tokenizer, conversation: open.messages)))
            }
            return (summary, prepared, open, trace?.hasFailed ?? false)
        }
        switch format {
        case .text:
            Console.print(showCandidates ? summary.response : "")
            let approximations = configured.method.approximations + open.approximations
            Console.draw(Summary.line(summary, method: configured.name, approximations: approximations))
        case .json:
            let report = AnswerReport(
                summary, method: configured, prompt: open, sources: try await SourceReport(prepared.models))
            Console.print(try JSON.pretty(report))
        }
        if summary.finishReason == .cancelled { throw CancellationError() }
        if lostTrace || summary.finishReason == .failed { throw ExitCode.failure }
    }

    private func runBatch(
        _ spec: MethodSpec, _ method: ConfiguredMethod, _ runtime: Runtime, on file: String
    ) async throws {
        guard prompt.prompt == nil, prompt.file == nil, prompt.messages == nil, !prompt.raw, !showCandidates else {
            throw UsageError("--batch goes without another prompt, --raw and --show-candidates")
        }
        guard trace == nil || (trace != file && trace != many.output), many.output != file else {
            throw UsageError("prompts, answers and trace need a file each; choose others for --output and --trace")
        }
        try await BatchRun(options: many, file: file, trace: trace, format: format)
            .run(method, on: runtime, system: prompt.system) { [answer] in try answer.request($0, method: spec) }
    }
}

/// The figures of an answer in one line.
enum Summary {
    static func line(_ summary: GenerationSummary, method: String, approximations: [String]) -> String {
        let usage = summary.usage
        var parts = [method]
        if let reward = summary.reward { parts.append("reward \(reward.fixed(3))") }
        if let kl = summary.kl { parts.append(summary.klKind.sentence(kl)) }
        parts.append("\(usage.completionTokens) tokens (\(usage.rolloutTokens) in rollouts)")
        parts.append("\(usage.rewardCalls) rewards")
        if let size = summary.diagnostics.effectiveSampleSize, size > 1 {
            parts.append("ESS \(size.fixed(1))")
        }
        if let spread = summary.diagnostics.rewardSpread { parts.append("spread \(spread.fixed(3))") }
        if let outside = summary.diagnostics.outsideProbability {
            parts.append("\((100 * outside).fixed(0)) % outside the candidates")
        }
        if let evaluated = summary.diagnostics.evaluatedCandidates {
            parts.append("\(evaluated.fixed(1)) candidates evaluated")
        }
        if let share = summary.diagnostics.certifiedShare, share > 0 {
            parts.append("\((100 * share).fixed(0)) % of steps certified")
        }
        parts += approximations.map { "approximate: \($0)" }
        if let rate = summary.diagnostics.auditMissRate {
            parts.append("\(rate.hits) of \(rate.count) checked steps failed (\(rate.text))")
        }
        parts.append("\(usage.seconds.fixed(1)) s")
        parts.append(summary.finishReason.rawValue)
        return parts.joined(separator: " · ")
    }
}
