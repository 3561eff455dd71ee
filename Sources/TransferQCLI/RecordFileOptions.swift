import ArgumentParser
import TransferQ
import TransferQConsole
import TransferQRewards

/// How files of prompts and answers are read.
struct RecordFileOptions: ParsableArguments {
    @Flag(
        help: .rare(
            "Leave out records of the file that cannot be read, and say which; by default the first ends the run."))
    var skipBroken = false

    @Option(
        name: .customLong("ignore-key"),
        help: .rare("A key of the file's records to leave out knowingly, such as a prompt-like one; may be repeated."))
    var ignoredKeys: [String] = []

    var isDefault: Bool { !skipBroken && ignoredKeys.isEmpty }

    var options: RecordOptions {
        RecordOptions(skipsBroken: skipBroken, ignoredKeys: Set(ignoredKeys), notice: Console.say)
    }

    func prompts(_ path: String, limit: Int? = nil) throws -> [[Message]] {
        try RewardData.prompts(path, limit: limit ?? .max, options: options)
    }

    func read(_ path: String) throws -> (data: RewardData, sha256: String) {
        try RewardData.read(path, options: options)
    }
}
