import ArgumentParser

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Look at what generate --trace wrote.",
        subcommands: [TraceViewCommand.self])
}
