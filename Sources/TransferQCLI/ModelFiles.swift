import Foundation
import TransferQLlama
import TransferQRuntime

/// The model files of this program: a damaged one is found by a process of its own.
enum ModelFiles {
    static let store = ModelStore.standard
    static let probe = ModelProbe(
        executable: Bundle.main.executableURL ?? URL(filePath: CommandLine.arguments[0]),
        arguments: ["models", "verify"], store: store)
    static let library = ModelLibrary(store: store, probe: probe) { Console.say($0) }
    static var shelf: ModelShelf { library.models }

    /// Where `make install` puts the heads that come with the program.
    static let heads = Bundle.main.executableURL?.deletingLastPathComponent().appending(path: "../share/transferq")

    /// The file of a name or path; the demonstration model's when there is none.
    static func path(_ name: String?) async throws -> String { try await library.path(name) }

    static func load(_ path: String) async throws -> LlamaModel { try await library.load(path) }
}
