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
        let prompt = try loaded.prompt(for: [
            Message(role: "user", content: "What should I think about when I plan a small garden behind my house?")
        ])
        let sides = try await RolloutSides(loaded, prompt: prompt, k: k, horizon: horizon, threads: threads)
        var (engineSpeeds, bareSpeeds, equal) = ([Double](), [Double](), 0)
        for round in 0...rounds {
            Console.progress("round \(round) of \(rounds)")
            let bare = try sides.bareLoop()
            let engine = try await sides.engine()
            equal = zip(engine.rollouts, bare.rollouts).count { $0 == Array($1.prefix($0.count)) }
            if round == 0 { continue }  // caches fill
            engineSpeeds.append(engine.speed)
            bareSpeeds.append(bare.speed)
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
                    + "\(equal) of \(sides.starts.count) rollouts equal")
        }
    }
}
