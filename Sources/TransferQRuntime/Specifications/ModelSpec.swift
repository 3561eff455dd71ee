import TransferQ

/// A model by name: a known model, `NAME@FORMAT` for one of its weight formats, or a GGUF file.
///
/// JSON: the name, a string.
///
///     "smollm2-135m-instruct@f32"
public struct ModelSpec: Codable, Hashable, Sendable {
    public let name: String

    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` for an empty name.
    public init(_ name: String) throws {
        guard !name.isEmpty else {
            throw RuntimeError.invalidSpecification(
                what: "model", reason: "the name is empty; give a known name or a GGUF file")
        }
        self.name = name
    }

    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}

/// The policy that rolls candidates out, where it is another one than the reference: other weights, an adapter on the
/// reference's weights, a system prompt, or other weights with a system prompt.
///
/// JSON: an object with the parts that are there.
///
///     {"model": "kind.gguf", "system": "You are kind."}
public struct BaselineSpec: Codable, Hashable, Sendable {
    /// Other weights with the reference's vocabulary; nil for the reference's own.
    public let model: ModelSpec?
    /// A LoRA adapter in GGUF on the reference's weights.
    public let adapter: String?
    /// Takes the place of the conversation's system prompt.
    public let system: String?

    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` when all are nil, or both a model and an adapter are
    ///   given.
    public init(model: ModelSpec? = nil, adapter: String? = nil, system: String? = nil) throws {
        guard model != nil || adapter != nil || system != nil else {
            throw RuntimeError.invalidSpecification(
                what: "baseline", reason: "give a model, an adapter or a system prompt, or no baseline at all")
        }
        guard model == nil || adapter == nil else {
            throw RuntimeError.invalidSpecification(
                what: "baseline",
                reason: "give a model or an adapter, not both: an adapter goes on the reference's weights")
        }
        self.model = model
        self.adapter = adapter
        self.system = system
    }

    /// The reference's weights under a system prompt.
    public static func system(_ prompt: String) -> BaselineSpec { BaselineSpec(valid: prompt) }

    private init(valid system: String) {
        model = nil
        adapter = nil
        self.system = system
    }

    /// What tells it apart from others, each part with its name.
    var parts: [String] {
        [model.map { "model \($0.name)" }, adapter.map { "adapter \($0)" }, system.map { "system \($0)" }].compactMap {
            $0
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            model: container.decodeIfPresent(ModelSpec.self, forKey: .model),
            adapter: container.decodeIfPresent(String.self, forKey: .adapter),
            system: container.decodeIfPresent(String.self, forKey: .system))
    }

    private enum CodingKeys: CodingKey { case model, adapter, system }
}
