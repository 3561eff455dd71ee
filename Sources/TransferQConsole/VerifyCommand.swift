public import ArgumentParser
public import TransferQLlama

/// `models verify`: what a ``ModelProbe`` runs.
package struct VerifyCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Load a model file, and an adapter, and decode two tokens.",
        shouldDisplay: false)

    @Option var purpose: LlamaModel.Purpose = .generation
    @Argument var model: String
    @Argument var adapter: String?

    package init() {}

    package func run() async throws {
        do { try await LlamaModel.verify(path: model, adapter: adapter, purpose: purpose) } catch {
            // The parent prints this sentence as its own.
            Console.draw("\(error)")
            throw ExitCode.failure
        }
    }
}

extension LlamaModel.Purpose: ExpressibleByArgument {}
