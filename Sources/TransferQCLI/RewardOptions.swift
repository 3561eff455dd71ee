public import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
public import TransferQRewards
import TransferQRuntime

/// Rewards outside of a generation.
struct RewardOptions: ParsableArguments {
    @Option(help: "A reward, [MODIFIER:…]KIND:ARGUMENT[:WEIGHT]; several are summed (see: transferq reward kinds).")
    var reward: [String] = []

    @Option(parsing: .unconditional, help: "Seconds that a reward's program or server may take for a batch.")
    var rewardTimeout = 60.0

    @Option(help: "Threads (default: one for each processor).")
    var threads: Int?

    func validate() throws {
        guard !reward.isEmpty else {
            throw ValidationError("give a reward with --reward, for example --reward length:40")
        }
        try validateTimeout(rewardTimeout)
        try validateThreads(threads)
    }

    @Option(help: "The model in use, a known name or a GGUF file (default: the demonstration model).")
    var model: String?

    /// - Parameter modifier: stands before each reward as it was given.
    func rewardModel(modifier: String = "") async throws -> any RewardModel {
        try await runtime().catalogue().parse(reward.map { modifier + $0 })
    }

    func runtime() throws -> Runtime {
        Runtime(
            engine: LlamaEngine(library: ModelFiles.library, threads: threads), model: try model.map(ModelSpec.init),
            rewardTimeout: rewardTimeout, heads: ModelFiles.heads)
    }
}

extension LinearHead.Template: ExpressibleByArgument {}
extension LinearHead.Pooling: ExpressibleByArgument {}
