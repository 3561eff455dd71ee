public import TransferQ
public import TransferQRewards

/// How far the same request gives the same answer again.
public enum Reproducibility: String, Codable, Sendable {
    /// Always, whatever else runs.
    case exact
    /// Up to near-ties: which answers share a batch may move the last bits of a probability.
    case upToNearTies = "up-to-near-ties"
    /// Nothing is promised.
    case none
}

/// What an engine offers beyond proposing, scoring and rolling out.
public struct EngineCapabilities: Hashable, Sendable {
    /// Whether policies hand out hidden states, which value heads and learned rewards read.
    public let hasStates: Bool
    /// Whether one model can roll out under a LoRA adapter beside itself without one.
    public let hasAdapters: Bool
    /// Whether answers that run at the same time share batches of the model.
    public let sharesBatches: Bool

    public init(hasStates: Bool, hasAdapters: Bool, sharesBatches: Bool) {
        self.hasStates = hasStates
        self.hasAdapters = hasAdapters
        self.sharesBatches = sharesBatches
    }
}

/// Loads models and makes policies of them: llama.cpp in this process, or a server elsewhere.
///
/// A ``Runtime`` works with any of them. What an engine has to know of the rest of the program is in this file and in
/// `AnswerSlot.swift`.
public protocol Engine: Sendable {
    associatedtype Models: LoadedModels

    var capabilities: EngineCapabilities { get }

    /// The reference and, where it is another policy, the baseline; loaded once however many ask at the same time.
    ///
    /// - Parameter model: the engine's standard where nil.
    /// - Throws: what is wrong with a model, or `CancellationError`.
    func load(_ model: ModelSpec?, baseline: BaselineSpec?) async throws -> Models

    /// The GGUF file that a model is read from; nil for one that is elsewhere.
    func file(of model: ModelSpec?) async throws -> String?

    /// What answers depend on besides their requests: values by what they are, e.g. hashes of files as `model`, `baseline`
    /// and `adapter of the baseline`. May read every file to its end.
    func settings(_ model: ModelSpec?, baseline: BaselineSpec?) async throws -> [String: String]
}

/// The models that take part in answers.
public protocol LoadedModels: Sendable {
    /// What tells them apart from others of the engine, the baseline included.
    var identity: String { get }
    var tokenizer: any Tokenizer { get }
    /// Whether the baseline is another policy than the reference.
    var hasBaseline: Bool { get }
    var reproducibility: Reproducibility { get }
    /// Longest prompt with its answer, in tokens; nil where it is not known.
    var contextLength: Int? { get }

    /// Where the reference and the baseline come from, for reports; no baseline where it is the reference.
    func sources() async throws -> (reference: ModelSource, baseline: ModelSource?)

    /// A conversation as each policy reads it.
    func prompts(for conversation: [Message], form: PromptForm) async throws -> PromptTokens

    /// What an answer may have of `wanted` tokens behind its prompts.
    ///
    /// - Throws: when the prompts leave no room for one.
    func maximumLength(_ wanted: Int, after prompts: PromptTokens) throws -> Int

    /// Slots for the answers of a list, with room for what the plan asks for.
    func slots(for plan: SlotPlan) async throws -> SlotSet

    /// Slots for answers that come one by one.
    func openSlots(for plan: SlotPlan) async throws -> SlotSet

    /// Bytes of this machine's memory that slots for a plan take beside the weights of the models, worked out before they are
    /// made; 0 for models that are elsewhere.
    func slotMemory(for plan: SlotPlan) throws -> Int

    /// Whose hidden states a value head reads when a policy is tilted; nil where policies hand out none.
    func valueSource(_ tilt: Guidance.Tilt) async throws -> ValueSource?
}

/// Where a policy's model comes from.
public struct ModelSource: Codable, Hashable, Sendable {
    /// The path of a file, or an address and the model's name there.
    public let path: String
    /// Of the file, in hexadecimal; nil for a model elsewhere.
    public let sha256: String?
    /// The LoRA adapter on the model.
    public let adapter: String?
    /// The system prompt that takes the place of the conversation's.
    public let system: String?

    public init(path: String, sha256: String?, adapter: String? = nil, system: String? = nil) {
        self.path = path
        self.sha256 = sha256
        self.adapter = adapter
        self.system = system
    }
}

/// What a value head must have been fitted on.
public struct ValueSource: Hashable, Sendable {
    /// The path of the tilted policy's model.
    public let path: String
    public let backbone: LinearHead.Backbone
    public let system: String?
    /// SHA-256 of the adapter's file, in hexadecimal.
    public let adapter: String?

    public init(path: String, backbone: LinearHead.Backbone, system: String?, adapter: String?) {
        self.path = path
        self.backbone = backbone
        self.system = system
        self.adapter = adapter
    }
}
