import Foundation
import TransferQ
public import TransferQLlama

/// Finds, tries and loads model files, each once.
public struct ModelLibrary: Sendable {
    public let store: ModelStore
    /// Tries a file in a process of its own; nil loads files right away, and a damaged one may then end this process.
    public let probe: ModelProbe?
    public let models: ModelCache

    /// - Parameters:
    ///   - options: how all models are loaded.
    ///   - notice: told in a sentence what is worth knowing of a file that was loaded.
    public init(
        store: ModelStore = .standard, probe: ModelProbe? = nil, options: LlamaOptions = .standard,
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.store = store
        self.probe = probe
        models = ModelCache(store: store, probe: probe, options: options, notice: notice)
    }

    /// The file of a name or path; the demonstration model's when there is none.
    public func path(_ name: String?) async throws -> String {
        try await models.file(name ?? KnownModel.demonstration.name)
    }

    public func load(_ path: String) async throws -> LlamaModel { try await models.load(path) }
}
