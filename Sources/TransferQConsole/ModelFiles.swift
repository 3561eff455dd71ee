package import Foundation
import Synchronization
package import TransferQLlama
package import TransferQRuntime

/// The model files of a program: a damaged one is found by a process of its own, which runs ``VerifyCommand``.
package enum ModelFiles {
    package static let store = ModelStore.standard
    package static let probe = ModelProbe(
        executable: Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0]),
        arguments: ["models", "verify"], store: store)
    package static let library = library(options: .standard)
    private static let others = Mutex<[LlamaOptions: ModelLibrary]>([:])

    /// Models that are loaded as options say, each once.
    package static func library(_ options: LlamaOptions) -> ModelLibrary {
        if options == .standard { return library }
        return others.withLock { libraries in
            let library = libraries[options] ?? Self.library(options: options)
            libraries[options] = library
            return library
        }
    }

    private static func library(options: LlamaOptions) -> ModelLibrary {
        ModelLibrary(store: store, probe: probe, options: options) { Console.say($0) }
    }

    package static var models: ModelCache { library.models }

    /// Where `make install` puts the heads that come with the program.
    package static let heads = Bundle.main.executableURL?.deletingLastPathComponent().appending(
        path: "../share/transferq")

    /// The file of a name or path; the demonstration model's when there is none.
    package static func path(_ name: String?) async throws -> String { try await library.path(name) }

    package static func load(_ path: String) async throws -> LlamaModel { try await library.load(path) }
}
