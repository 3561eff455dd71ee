package import Foundation

/// Runs a program on a random model in 32 bits whose choices rounding does not decide, with a cache of its own: the real
/// model takes seconds where this one takes milliseconds.
package struct SharpProgram {
    package let folder: TemporaryFolder

    package init(seed: UInt64 = 1) throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("sharp.gguf"), seed: 1000 * seed, shape: .sharp)
    }

    package var model: String { folder.file("sharp.gguf").path }

    /// - Parameter arguments: without `--model`, which comes behind them.
    package func run(
        _ arguments: [String], input: Data = Data(), folder: URL? = nil,
        of name: ProgramRun.Name = .transferq, whileRunning: (Process) throws -> Void = { _ in }
    ) throws -> ProgramRun {
        try ProgramRun.run(
            arguments + ["--model", model], input: input,
            environment: ["TRANSFERQ_CACHE": self.folder.file("cache").path], folder: folder, of: name,
            whileRunning: whileRunning)
    }
}
