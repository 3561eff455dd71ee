import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama

struct EngineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Measure the rollout engine against a bare llama.cpp loop of the same shape.",
        discussion: """
            Both sides take turns in one run, on the same file, prompt, candidates and threads; figures are medians. \
            Nothing else should run on the machine meanwhile.

              transferq-bench engine --k 10 --horizon 16
            """)

    @Option(help: "A known name or a GGUF file.") var model: String?
    @Option(help: "Candidates: the width of the batch.") var k = 10
    @Option(help: "Decoded tokens of each rollout, its candidate included.") var horizon = 16
    @Option(help: "Rounds; each side runs once a round.") var rounds = 9
    @Option(help: "Threads (default: one for each processor).") var threads: Int?
    @Option(help: "text or json.") var format: OutputFormat = .text

    func validate() throws {
        if !(1...200).contains(k) { throw ValidationError("--k must be between 1 and 200, not \(k)") }
        if !(2...1024).contains(horizon) {
            throw ValidationError("--horizon must be between 2 and 1024, not \(horizon)")
        }
        try validateThreads(threads)
        if !(1...1000).contains(rounds) { throw ValidationError("--rounds must be between 1 and 1000, not \(rounds)") }
    }

    struct Report: Encodable {
        let model: String
        let k: Int
        let horizon: Int
        let rounds: Int
        /// Rollout tokens per second, medians.
        let engine: Double
        let bareLoop: Double
        /// Median over the rounds of engine / bare loop.
        let ratio: Double
        /// Rollouts of the last round that both sides wrote with the same tokens.
        let equalRollouts: Int
    }

    func run() async throws {
        let path = try await ModelFiles.path(model)
        let loaded = try await ModelFiles.load(path)
        let prompt = try await loaded.prompt(for: [
            Message(role: "user", content: "What should I think about when I plan a small garden behind my house?")
        ])
        let configuration = LlamaContext.Configuration(
            cells: prompt.count + k * horizon + 64, sequences: k + 1, threads: threads)
        let policy = try await LlamaPolicy(
            context: LlamaContext(model: loaded, configuration: configuration), prompt: prompt)
        let starts = try await policy.propose(after: [], count: 3 * k).map(\.token)
            .filter { !loaded.tokenizer.isEnd($0) }.prefix(k)
        let request = RolloutRequest(
            response: [], prefixes: starts.map { [$0] }, count: 1, maximumLength: horizon, sampling: .greedy,
            noise: Noise(seed: 0))
        guard let bare = BareLoop(path: path, prompt: prompt, configuration: configuration) else {
            throw UsageError("the bare loop could not set up llama.cpp; lower --k or --horizon")
        }

        let clock = ContinuousClock()
        var engineSpeeds: [Double] = []
        var bareSpeeds: [Double] = []
        var equal = 0
        for round in 0...rounds {
            Console.progress("round \(round) of \(rounds)")
            var start = clock.now
            guard let expected = bare.rollOut(starts: Array(starts), length: horizon) else {
                throw UsageError("llama.cpp failed in the bare loop; lower --k or --horizon")
            }
            let bareSeconds = (clock.now - start) / .seconds(1)
            start = clock.now
            _ = try await policy.propose(after: [], count: k)
            let rollouts = try await policy.rollOut(request)
            let engineSeconds = (clock.now - start) / .seconds(1)
            let generated = rollouts.joined().reduce(0) { $0 + $1.tokens.count }
            equal = zip(rollouts.joined(), expected).count { $0.tokens == Array($1.prefix($0.tokens.count)) }
            if round == 0 { continue }  // caches fill
            engineSpeeds.append(Double(generated) / engineSeconds)
            bareSpeeds.append(Double(starts.count * horizon) / bareSeconds)
        }
        Console.progress("")
        let report = Report(
            model: path, k: k, horizon: horizon, rounds: rounds, engine: median(engineSpeeds),
            bareLoop: median(bareSpeeds), ratio: median(zip(engineSpeeds, bareSpeeds).map { $0 / $1 }),
            equalRollouts: equal)
        switch format {
        case .json: Console.print(try JSON.pretty(report))
        case .text:
            Console.print(
                TextTable.text([
                    ["side", "rollout tokens/s"], ["engine", report.engine.fixed(1)],
                    ["bare llama.cpp loop", report.bareLoop.fixed(1)],
                    ["engine / bare", report.ratio.fixed(3)],
                ]))
            Console.print(
                "k \(k), \(horizon) decoded tokens a rollout, \(rounds) rounds; "
                    + "\(equal) of \(starts.count) rollouts equal")
        }
    }
}
