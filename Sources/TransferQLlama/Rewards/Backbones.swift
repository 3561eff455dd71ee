public import Foundation
public import TransferQRewards

extension ModelStore {
    /// What a head must say of a model file to find it again.
    ///
    /// A known model's requantised file is named by the published one: its own bytes may differ between machines in
    /// the last bit of a weight.
    ///
    /// - Throws: ``LlamaError/unreadable(path:)``, or `CancellationError`.
    public func backbone(of model: LlamaModel) async throws -> LinearHead.Backbone {
        let path = URL(filePath: model.path).standardizedFileURL.resolvingSymlinksInPath().path
        for known in KnownModel.all {
            for type in Quantization.allCases
            where path == file(type.fileName(for: known.file)).resolvingSymlinksInPath().path {
                return LinearHead.Backbone(
                    model: known.name, sha256: known.sha256, type: type.rawValue, width: model.width)
            }
        }
        // By the name that it was asked for: a hub's cache keeps files under their hashes, and links to them.
        return LinearHead.Backbone(
            model: URL(filePath: model.path).lastPathComponent, sha256: try await GGUFFile.sha256(of: path), type: nil,
            width: model.width)
    }

    /// The file of a head's backbone, requantised if need be; `likely` files are looked at first.
    ///
    /// - Throws: ``LlamaError/noBackbone(head:model:sha256:)``, ``StoreError`` or ``LlamaError``.
    public func file(of backbone: LinearHead.Backbone, head: String, likely: [String]) async throws -> String {
        if let text = backbone.type, let type = Quantization(rawValue: text),
            let known = KnownModel.all.first(where: { $0.sha256 == backbone.sha256 })
        {
            return try await requantized(known, as: type).path
        }
        let stored = try files().map(\.path)
        // Hashing a file takes a while, so the one of the same name comes first.
        let ordered = stored.filter { $0.hasSuffix(backbone.model) } + stored.filter { !$0.hasSuffix(backbone.model) }
        for path in likely + ordered where FileManager.default.fileExists(atPath: path) {
            if try await GGUFFile.sha256(of: path) == backbone.sha256 { return path }
        }
        throw LlamaError.noBackbone(head: head, model: backbone.model, sha256: backbone.sha256)
    }

    /// A known model in another format, made on first use.
    public func requantized(_ known: KnownModel, as type: Quantization) async throws -> URL {
        let target = file(type.fileName(for: known.file))
        if FileManager.default.fileExists(atPath: target.path) { return target }
        let published = file(known.file)
        guard FileManager.default.fileExists(atPath: published.path) else {
            throw StoreError.notPulled(name: known.name)
        }
        do { try await type.requantize(published.path, to: target.path) } catch StoreError.exists {
            // Another program made it meanwhile.
        }
        return target
    }
}
