import ArgumentParser
import TransferQConsole

/// `transferq`: aligns a language model with a reward while it decodes.
struct TransferQCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transferq",
        abstract: "Aligns a language model with a reward while it decodes. No weight is touched.",
        discussion: """
            A policy proposes tokens, a baseline rolls each one out, a reward scores the rollouts, \
            and the values tilt the policy (Transfer Q*, NeurIPS 2024).

              transferq generate "How do I make tea?" --reward length:30
              transferq compare "How do I make tea?" --methods sample,transfer-q --reward length:30
              transferq methods
            """,
        version: "0.1.0",
        subcommands: [
            GenerateCommand.self, CompareCommand.self, RewardCommand.self, ValueCommand.self, MethodsCommand.self,
            EvaluateCommand.self, TraceCommand.self, TheoryCommand.self, ModelsCommand.self,
        ] + server)

    /// Built without the package's trait Server, the program has no server.
    private static var server: [any ParsableCommand.Type] {
        #if Server
            [ServeCommand.self]
        #else
            []
        #endif
    }
}

@main
enum Main {
    static func main() async { await Program.run(TransferQCommand.self) }
}
