import ArgumentParser
import TransferQConsole
import TransferQLlama
import TransferQRuntime

/// How models are loaded for an evaluation.
struct EvaluateOptions: ParsableArguments {
    @Option(help: "Threads (default: one for each processor).")
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "What a chat template is told that asks for the date (default: now).",
            valueName: "YYYY-MM-DD[THH:MM[:SS]]"))
    var date: TemplateDate?

    @Option(parsing: .unconditional, help: "Seconds that a reward's program or server may take for a batch.")
    var rewardTimeout = 60.0

    func validate() throws {
        try validateThreads(threads)
        try validateTimeout(rewardTimeout)
    }

    /// Runtimes that load every model once.
    func makeRuntime() throws -> @Sendable (ModelSpec?, BaselineSpec?) -> Runtime {
        let engine = LlamaEngine(library: ModelFiles.library(.standard), threads: threads, templateDate: date)
        let timeout = rewardTimeout
        return { model, baseline in
            Runtime(
                engine: engine, model: model, baseline: baseline, rewardTimeout: timeout, heads: ModelFiles.heads)
        }
    }
}
