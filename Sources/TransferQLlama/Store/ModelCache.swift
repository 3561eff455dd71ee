import Foundation
public import TransferQRewards

/// Loads every model file and adapter once, however many policies and rewards ask for it, at the same time or later. A file that
/// has changed is another file.
public final class ModelCache: Sendable {
    public let store: ModelStore
    private let probe: ModelProbe?
    private let options: LlamaOptions
    private let notice: @Sendable (String) -> Void
    private let models = LoadOnce<LlamaModel>()
    private let adapters = LoadOnce<LlamaAdapter>()
    /// Paths of files in another weight format, and of heads' backbones.
    private let files = LoadOnce<String>()
    private let digests = LoadOnce<String>()

    /// - Parameters:
    ///   - probe: tries files before they are loaded here; nil loads them right away.
    ///   - options: of all models.
    ///   - notice: told in a sentence what is worth knowing of a file that was loaded, such as an adapter of which only a
    ///     part applies.
    public init(
        store: ModelStore, probe: ModelProbe? = nil, options: LlamaOptions = .standard,
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.store = store
        self.probe = probe
        self.options = options
        self.notice = notice
    }

    /// The model of a file.
    ///
    /// - Throws: ``LlamaError``, ``ProbeFailure`` or `CancellationError`.
    public func load(_ path: String, purpose: LlamaModel.Purpose = .generation) async throws -> LlamaModel {
        try GGUFFile.check(path)
        return try await models.value(try GGUFFile.identity([path], "\(purpose.rawValue) \(path)")) {
            [probe, options] in
            try await probe?.check(model: path, purpose: purpose)
            return try await LlamaModel(path: path, purpose: purpose, options: options)
        }
    }

    /// An adapter for a model.
    ///
    /// - Throws: as ``load(_:purpose:)``.
    public func load(adapter path: String, for model: LlamaModel) async throws -> LlamaAdapter {
        try GGUFFile.check(path)
        // Two models of one file are two.
        let key = try GGUFFile.identity([path], "\(ObjectIdentifier(model))")
        return try await adapters.value(key) { [probe, notice] in
            try await probe?.check(model: model.path, adapter: path)
            let adapter = try await LlamaAdapter(path: path, model: model)
            if let sentence = adapter.notice { notice(sentence) }
            return adapter
        }
    }

    /// ``GGUFFile/digest(of:)``, worked out once: it reads gigabytes.
    public func digest(of path: String) async throws -> String {
        try await digests.value(try GGUFFile.identity(GGUFFile.parts(of: path))) { try await GGUFFile.digest(of: path) }
    }

    /// The file of a name: a path, a file of the store, a known model, or `NAME@TYPE`, a known model in another weight
    /// format, which is made on first use.
    ///
    /// - Throws: ``StoreError`` or ``LlamaError``.
    public func file(_ name: String) async throws -> String {
        let parts = name.split(separator: "@", maxSplits: 1).map(String.init)
        guard parts.count == 2, let known = KnownModel.named(parts[0]) else { return try store.resolve(name).path }
        guard let type = Quantization(rawValue: parts[1]) else {
            throw StoreError.unknownFormat(name: parts[1], known: Quantization.allCases.map(\.rawValue))
        }
        return try await files.value(name) { [store] in try await store.requantized(known, as: type).path }
    }

    /// ``ModelStore/file(of:head:likely:)``, worked out once.
    public func file(of backbone: LinearHead.Backbone, head: String, likely: [String]) async throws -> String {
        let key = ["backbone", backbone.sha256, backbone.type ?? "", head] + likely
        return try await files.value(key.joined(separator: "|")) { [store] in
            try await store.file(of: backbone, head: head, likely: likely)
        }
    }
}
