import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama

/// `transferq models measure`: what a quantisation costs in quality and brings in speed.
struct MeasureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Perplexity on a text and tokens per second, for several files of one model.",
        discussion: """
            The text is read in windows of 512 tokens; perplexity counts every token but the first of a window. \
            Speeds are medians over the first 8 windows: a window as a prompt, and 10 rollouts of 17 tokens after \
            its beginning. The files take \
            turns, window by window, so that a noisy machine is noisy for all.
            """)

    @Argument(help: "Known names or GGUF files; ratios are to the first.") var models: [String]
    @Option(help: "A UTF-8 text.") var text: String
    @Option(help: "Threads (default: one for each processor).") var threads: Int?

    func validate() throws { try validateThreads(threads) }

    private struct Subject {
        let path: String
        let context: LlamaContext
        let tokens: [Token]
        var logLoss = 0.0
        var scored = 0
        var promptSpeeds: [Double] = []
        var rolloutSpeeds: [Double] = []
    }

    func run() async throws {
        guard let data = FileManager.default.contents(atPath: text),
            let text = String(validating: data, as: UTF8.self)
        else { throw UsageError("\(text) is no readable UTF-8 text; check the path") }
        var subjects: [Subject] = []
        for name in models {
            let path = try await ModelFiles.path(name)
            let model = try await ModelFiles.load(path)
            let context = try await LlamaContext(
                model: model, configuration: .init(cells: 1024, sequences: 16, threads: threads))
            subjects.append(
                Subject(path: path, context: context, tokens: try model.prompt(continuing: text)))
        }
        let window = 512
        let windows = (subjects.map { $0.tokens.count }.min() ?? 0) / window
        guard windows >= 1 else { throw UsageError("the text has fewer than \(window) tokens; give a longer one") }
        for index in 0..<windows {
            for subject in subjects.indices { try await measure(&subjects[subject], window: index, size: window) }
            Console.progress("window \(index + 1) of \(windows)")
        }
        Console.progress("")
        let base = subjects.map { exp($0.logLoss / Double($0.scored)) }
        var rows = [["file", "perplexity", "ratio", "prompt tokens/s", "rollout tokens/s"]]
        for (subject, perplexity) in zip(subjects, base) {
            rows.append([
                URL(filePath: subject.path).lastPathComponent, perplexity.fixed(3),
                (perplexity / base[0]).fixed(4), median(subject.promptSpeeds).fixed(0),
                median(subject.rolloutSpeeds).fixed(0),
            ])
        }
        Console.print(TextTable.text(rows))
        Console.print("\(subjects[0].scored) tokens scored in \(windows) windows of \(window)")
    }

    private func measure(_ subject: inout Subject, window: Int, size: Int) async throws {
        let tokens = Array(subject.tokens[(window * size)..<((window + 1) * size)])
        subject.logLoss += try await subject.context.logLoss(of: tokens)
        subject.scored += size - 1
        guard window < 8 else { return }
        let clock = ContinuousClock()
        let start = clock.now
        _ = try await LlamaPolicy(context: subject.context, prompt: tokens).propose(after: [], count: 1)
        subject.promptSpeeds.append(Double(size) / ((clock.now - start) / .seconds(1)))
        let policy = try await LlamaPolicy(context: subject.context, prompt: Array(tokens.prefix(64)))
        let candidates = try await policy.propose(after: [], count: 10)
        let request = RolloutRequest(
            response: [], prefixes: candidates.map { [$0.token] }, count: 1, maximumLength: 17, sampling: .greedy,
            noise: Noise(seed: 0))
        let begin = clock.now
        let rollouts = try await policy.rollOut(request)
        // A rollout decodes its candidate and all its tokens but the last.
        let decoded = rollouts.joined().reduce(0) { $0 + $1.tokens.count }
        subject.rolloutSpeeds.append(Double(decoded) / ((clock.now - begin) / .seconds(1)))
    }
}
