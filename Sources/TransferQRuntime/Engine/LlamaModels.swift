public import TransferQ
public import TransferQLlama
import TransferQRewards

/// The models in this process that take part in answers.
public struct LlamaModels: LoadedModels {
    public let model: LlamaModel
    /// Nil when the baseline has the reference's weights.
    public let baselineModel: LlamaModel?
    public let adapter: LlamaAdapter?
    public let baseline: BaselineSpec?
    /// Of a call of llama.cpp; nil for one for each processor.
    let threads: Int?
    let library: ModelLibrary

    public var tokenizer: any Tokenizer { model.tokenizer }
    public var path: String { model.path }
    public var hasBaseline: Bool { baseline != nil }
    public var contextLength: Int? { model.contextLength }
    /// Whether one context serves both policies.
    var isShared: Bool { baselineModel == nil && adapter == nil }

    public var reproducibility: Reproducibility {
        model.hasPreciseWeights && baselineModel?.hasPreciseWeights ?? true ? .exact : .upToNearTies
    }

    public func prompts(for conversation: [Message], form: PromptForm = .chat) async throws -> PromptTokens {
        let reference = try await layOut(conversation, form, in: model)
        guard baseline?.system != nil || baselineModel != nil else {
            return PromptTokens(reference: reference.layout, baseline: reference.layout, notices: reference.notices)
        }
        var turns = conversation
        if let system = baseline?.system {
            guard form == .chat else {
                throw RuntimeError.conflict("--baseline-system needs a chat template, so it goes without --raw")
            }
            turns = [Message(role: "system", content: system)] + conversation.filter { $0.role != "system" }
        }
        let own = try await layOut(turns, form, in: baselineModel ?? model)
        return PromptTokens(
            reference: reference.layout, baseline: own.layout, notices: reference.notices + own.notices)
    }

    private func layOut(
        _ turns: [Message], _ form: PromptForm, in model: LlamaModel
    ) async throws -> (layout: PromptLayout, notices: [String]) {
        switch form {
        case .chat:
            let layout = try model.layOut(turns)
            return (layout, layout.notices(of: model))
        case .raw, .rawWithMarkers:
            let text = turns.map(\.content).joined(separator: "\n")
            return (try model.layOut(continuing: text, readsMarkers: form == .rawWithMarkers), [])
        }
    }

    public func maximumLength(_ wanted: Int, after prompts: PromptTokens) throws -> Int {
        let limit = model.contextLength
        guard prompts.longest < limit else { throw LlamaError.promptTooLong(tokens: prompts.longest, limit: limit) }
        return min(wanted, limit - prompts.longest)
    }

    public func slots(for plan: SlotPlan) async throws -> SlotSet { try await LlamaSlots.make(for: plan, of: self) }

    public func openSlots(for plan: SlotPlan) async throws -> SlotSet {
        try await LlamaSlots.make(for: plan, of: self, isListed: false)
    }

    public var identity: String { ([path] + (baseline?.parts ?? [])).joined(separator: "\u{0}") }

    public func sources() async throws -> (reference: ModelSource, baseline: ModelSource?) {
        let hash = try await GGUFFile.sha256(of: path)
        let reference = ModelSource(path: path, sha256: hash)
        guard let baseline else { return (reference, nil) }
        let other = (baselineModel ?? model).path
        return (
            reference,
            ModelSource(
                path: other, sha256: other == path ? hash : try await GGUFFile.sha256(of: other),
                adapter: baseline.adapter, system: baseline.system)
        )
    }

    public func valueSource(_ tilt: Guidance.Tilt) async throws -> ValueSource? { try await headSource(tilt) }

    /// ``valueSource(_:)``, which is always there.
    public func headSource(_ tilt: Guidance.Tilt) async throws -> ValueSource {
        guard tilt == .baseline else {
            return ValueSource(
                path: path, backbone: try await library.store.backbone(of: model), system: nil, adapter: nil)
        }
        var adapterHash: String?
        if let path = baseline?.adapter { adapterHash = try await GGUFFile.sha256(of: path) }
        let model = baselineModel ?? model
        return ValueSource(
            path: model.path, backbone: try await library.store.backbone(of: model), system: baseline?.system,
            adapter: adapterHash)
    }
}

extension PromptTokens {
    init(reference: PromptLayout, baseline: PromptLayout, notices: [String]) {
        self.init(
            reference: reference.tokens, baseline: baseline.tokens,
            isSystemFolded: reference.isSystemFolded || baseline.isSystemFolded,
            templateDate: (reference.date ?? baseline.date)?.description, notices: notices)
    }
}

extension PromptLayout {
    /// What a person should know of it, a sentence each.
    public func notices(of model: LlamaModel) -> [String] {
        var notices: [String] = []
        if !ChatTemplate.hasEngine {
            notices.append(
                "this program was built without llama.cpp's Jinja engine: chat templates are laid out in the nearest "
                    + "layout that llama.cpp knows by name, which may leave out what else they write")
        }
        if isSystemFolded {
            notices.append(
                "the chat template of \(model.path) has no system role: the system prompt stands in front of the first "
                    + "turn of the user")
        }
        return notices
    }
}
