import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQRuntime

/// `transferq-bench batch`: many prompts at a time against one by one.
struct BatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch",
        abstract: "Measure many prompts answered together against the same ones answered one by one.",
        discussion: """
            Plain decoding and transfer-q, exact and with --confidence 0.99; the two ways take turns, and each reads the \
            prompts itself. Figures are medians over the rounds.

              transferq-bench batch --limit 8 --baseline-system "You are kind."
            """)

    @OptionGroup var steering: SteeringOptions
    @OptionGroup var file: PromptFileOptions
    @Option(parsing: .unconditional, help: "Prompts worked on at the same time.") var parallel = 8
    @Option(parsing: .unconditional, help: "Rounds; each way runs once a round.") var rounds = 3

    func validate() throws {
        guard (2...32).contains(parallel) else {
            throw ValidationError("--parallel must be between 2 and 32, not \(parallel)")
        }
        guard (1...100).contains(rounds) else {
            throw ValidationError("--rounds must be between 1 and 100, not \(rounds)")
        }
    }

    struct Row: Encodable {
        let method: String
        /// Tokens of answers a second: all tokens over all seconds of the rounds.
        var alone = 0.0
        var together = 0.0
        /// together / alone.
        var ratio = 0.0
        /// Median of the rounds' ratios.
        var medianRatio = 0.0
        /// Answers of the last round with the same text both ways.
        var equalAnswers = 0
    }

    struct Report: Encodable {
        let model: String
        let prompts: Int
        let parallel: Int
        let rounds: Int
        var rows: [Row] = []
    }

    func run() async throws {
        let methods = try [
            ("greedy", MethodSpec(GreedyDecoding.name)), ("transfer-q", steering.method()),
            ("confidence 0.99", steering.method(["confidence": 0.99])),
        ]
        let conversations = try file.conversations()
        var report = Report(
            model: try await ModelFiles.path(steering.models.model), prompts: conversations.count, parallel: parallel,
            rounds: rounds)
        let progress = ProgressLine("measurements", of: methods.count * rounds)
        for (name, method) in methods {
            var row = Row(method: name)
            var paces = (alone: Pace(), together: Pace())
            for _ in 0..<rounds {
                let alone = try await measure(method, conversations, parallel: 1)
                let together = try await measure(method, conversations, parallel: parallel)
                paces.alone.add(seconds: alone.seconds, tokens: alone.tokens)
                paces.together.add(seconds: together.seconds, tokens: together.tokens)
                row.equalAnswers = zip(alone.texts, together.texts).count { $0 == $1 }
                progress.update(report.rows.count * rounds + paces.alone.seconds.count)
            }
            let ratio = paces.alone.ratio(to: paces.together)
            row.alone = 1 / paces.alone.secondsPerToken
            row.together = 1 / paces.together.secondsPerToken
            (row.ratio, row.medianRatio) = (ratio.total, ratio.median)
            report.rows.append(row)
        }
        Console.print(steering.format == .json ? try JSON.pretty(report) : text(report))
    }

    /// Answers all prompts; the rewards' models are loaded by then.
    private func measure(
        _ method: MethodSpec, _ conversations: [[Message]], parallel: Int
    ) async throws -> (seconds: Double, tokens: Int, texts: [String]) {
        // A runtime of its own: what rewards have read of these prompts must not help.
        let runtime = try steering.models.runtime()
        let requests = try conversations.map { try steering.request($0, method: method) }
        let clock = ContinuousClock()
        let start = clock.now
        var (tokens, texts) = (0, [String]())
        let prepared = try await runtime.prepare(requests, parallel: parallel)
        for notice in prepared.notices + prepared.prompts.flatMap(\.notices) { Console.sayOnce(notice) }
        let configured = try method.configured()
        try await Scheduler.run(requests.count, in: prepared.slots) { index, slot in
            try await prepared.open(index, in: slot).answer(by: configured, isWhole: true) { $0.say() }
        } deliver: { (answer: GenerationSummary) in
            tokens += answer.usage.completionTokens
            texts.append(answer.response)
        }
        return ((clock.now - start) / .seconds(1), max(1, tokens), texts)
    }

    private func text(_ report: Report) -> String {
        let rows = report.rows.map { row in
            [
                row.method, row.alone.fixed(2), row.together.fixed(2),
                row.ratio.fixed(2), row.medianRatio.fixed(2), "\(row.equalAnswers) of \(report.prompts)",
            ]
        }
        return TextTable.text(
            [["method", "tokens/s one by one", "\(report.parallel) at a time", "ratio", "median", "same answers"]]
                + rows)
    }
}
