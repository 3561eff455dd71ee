import ArgumentParser
import TransferQConsole

/// `transferq-bench`: measures the engine and the methods, against other programs and against themselves.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transferq-bench",
        abstract: "Measures transferq: against bare llama.cpp, against the published loop, and by itself.",
        discussion: """
            Nothing else should run on the machine meanwhile. docs/benchmarks.md has what was measured.

              transferq-bench gpu
              transferq-bench engine --k 10
              transferq-bench loop --baseline-system "You are kind." --limit 5
            """,
        subcommands: [
            EngineCommand.self, LoopCommand.self, SpeedupsCommand.self, BatchCommand.self, CostCommand.self,
            MemoryCommand.self, GPUCommand.self, ModelsCommand.self,
        ])

    /// What a model file is tried with, as in `transferq`.
    struct ModelsCommand: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "models", abstract: "Try model files.", shouldDisplay: false,
            subcommands: [VerifyCommand.self])
    }
}

@main
enum Main {
    static func main() async { await Program.run(BenchCommand.self) }
}
