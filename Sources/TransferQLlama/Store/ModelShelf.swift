import Foundation

/// Loads every model file once, however many policies and rewards ask for it.
@InferenceActor
public final class ModelShelf {
    public nonisolated let store: ModelStore
    private let probe: ModelProbe?
    private let notice: @Sendable (String) -> Void
    private var models: [String: LlamaModel] = [:]

    /// - Parameters:
    ///   - probe: tries files before they are loaded here; nil loads them right away.
    ///   - notice: told in a sentence what is worth knowing of a file that was loaded, such as an adapter of which only a
    ///     part applies.
    public nonisolated init(
        store: ModelStore, probe: ModelProbe? = nil, notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.store = store
        self.probe = probe
        self.notice = notice
    }

    /// The model of a file.
    ///
    /// - Throws: ``LlamaError``, ``ProbeFailure`` or `CancellationError`.
    public func load(_ path: String, purpose: LlamaModel.Purpose = .generation) async throws -> LlamaModel {
        let key = "\(purpose.rawValue) \(path)"
        if let model = models[key] { return model }
        try await probe?.check(model: path, purpose: purpose)
        let model = try LlamaModel(path: path, purpose: purpose)
        models[key] = model
        return model
    }

    /// An adapter for a model.
    ///
    /// - Throws: as ``load(_:purpose:)``.
    public func load(adapter path: String, for model: LlamaModel) async throws -> LlamaAdapter {
        try await probe?.check(model: model.path, adapter: path)
        let adapter = try LlamaAdapter(path: path, model: model)
        if let sentence = adapter.notice { notice(sentence) }
        return adapter
    }

    /// The file of a name: a path, a file of the store, a known model, or `NAME@TYPE`, a known model in another weight
    /// format, which is made on first use.
    ///
    /// - Throws: ``StoreError`` or ``LlamaError``.
    public func file(_ name: String) throws -> String {
        let parts = name.split(separator: "@", maxSplits: 1).map(String.init)
        guard parts.count == 2, let known = KnownModel.named(parts[0]) else { return try store.resolve(name).path }
        guard let type = Quantization(rawValue: parts[1]) else {
            throw StoreError.unknownFormat(name: parts[1], known: Quantization.allCases.map(\.rawValue))
        }
        return try store.requantized(known, as: type).path
    }
}
