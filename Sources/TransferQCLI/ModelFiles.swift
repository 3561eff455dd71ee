import Foundation
import Synchronization
import TransferQLlama
import TransferQRuntime

/// The model files of this program: a damaged one is found by a process of its own.
enum ModelFiles {
    static let store = ModelStore.standard
    static let probe = ModelProbe(
        executable: Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0]),
        arguments: ["models", "verify"], store: store)
    static let library = library(options: .standard)
    private static let others = Mutex<[LlamaOptions: ModelLibrary]>([:])

    /// Models that are loaded as options say, each once.
    static func library(_ options: LlamaOptions) -> ModelLibrary {
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

    static var shelf: ModelShelf { library.models }

    /// Where `make install` puts the heads that come with the program.
    static let heads = Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "../share/transferq")

    /// The file of a name or path; the demonstration model's when there is none.
    static func path(_ name: String?) async throws -> String { try await library.path(name) }

    static func load(_ path: String) async throws -> LlamaModel { try await library.load(path) }
}
