public import ArgumentParser
import Foundation
import Synchronization
import TransferQConsole
public import TransferQEvaluation

struct EvaluateRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Answer the prompts of a configuration by all its methods, score the answers and print the table.",
        discussion: """
            The folder that it writes can be gone on with: the same command makes what is missing. Methods, seeds and prompts \
            may be added to the configuration later. Paths in it count from the current folder.

              transferq evaluate run harmless.yaml
              transferq evaluate run harmless.yaml --shard 2/8 --output part-2

            A judge is asked by evaluate score only, as it may cost money.
            """)

    @Argument(help: "The configuration, in YAML or JSON.")
    var configurationFile: String

    @Option(help: "The run folder (default: the name of the configuration with .run, in the current folder).")
    var output: String?

    @Option(help: "Answer one part of the prompts, NUMBER/COUNT; evaluate merge puts the parts together.")
    var shard: Shard?

    @Option(
        help: """
            Answers at the same time (default: 1). With weights of fewer than 32 bits an answer may then depend on those \
            beside it.
            """)
    var parallel = 1

    @Flag(help: "Only make the answers; evaluate score makes the rest.")
    var answersOnly = false

    @OptionGroup var options: EvaluateOptions

    func validate() throws {
        guard (1...32).contains(parallel) else {
            throw ValidationError("--parallel must be between 1 and 32, not \(parallel)")
        }
    }

    func run() async throws {
        let specification = try EvaluationFile.read(configurationFile)
        let name = URL(filePath: configurationFile).deletingPathExtension().lastPathComponent
        let folder = RunFolder(output ?? name + ".run")
        let run = EvaluationRun(
            specification, folder: folder, shard: shard, parallel: parallel,
            program: TransferQCommand.configuration.version, makeRuntime: try options.makeRuntime())
        let counter = Counter()
        let scoring = try EvaluateScoreCommand.scoring(of: folder, options: options)
        let answersOnly = answersOnly
        let made = try await Interruption.cancellable {
            if !answersOnly { try await scoring.check(specification) }
            return try await run.makeAnswers { counter.show($0) }
        }
        Console.say("\(made == 0 ? "all answers are there already" : "\(made) answers made") in \(folder.url.path)")
        guard !answersOnly else { return }
        try await EvaluateScoreCommand.score(folder, options: options, judges: false)
        Console.print(try EvaluationTable(folder).text)
    }
}

/// Shows on standard error how far work has come, part by part.
final class Counter: Sendable {
    private struct State {
        var progress: ProgressLine?
        var done = 0
    }

    private let state = Mutex(State())

    func show(_ event: EvaluationEvent) {
        switch event {
        case .notice(let sentence): Console.sayOnce(sentence)
        case .began(let what, let known, let total): begin(what, known: known, total: total)
        case .advanced(let number): count(number)
        }
    }

    private func begin(_ what: String, known: Int, total: Int) {
        state.withLock { state in
            state.done = known
            state.progress = known < total ? ProgressLine(what, of: total, known: known) : nil
        }
    }

    private func count(_ number: Int) {
        state.withLock { state in
            state.done += number
            state.progress?.update(state.done)
        }
    }
}

extension Shard: ExpressibleByArgument {
    public init?(argument: String) {
        // The parser says what is wrong with an argument by itself.
        guard let shard = try? Shard(parsing: argument) else { return nil }
        self = shard
    }
}
