public import TransferQ
public import TransferQLlama
public import TransferQRewards

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

    // MARK: Value heads

    /// Whose hidden states a value head reads when a policy is tilted.
    public func valueSource(
        _ tilt: Guidance.Tilt
    ) async throws -> (backbone: LinearHead.Backbone, system: String?, adapter: String?) {
        guard tilt == .baseline else { return (try await library.store.backbone(of: model), nil, nil) }
        var adapterHash: String?
        if let path = baseline?.adapter { adapterHash = try await GGUFFile.sha256(of: path) }
        return (try await library.store.backbone(of: baselineModel ?? model), baseline?.system, adapterHash)
    }

    /// Refuses a value head of another policy than those that `methods` tilt.
    ///
    /// - Returns: where its states differ a little, a sentence each.
    /// - Throws: ``LlamaError/wrongBackbone(head:model:reason:)``.
    func check(_ head: LinearValueHead, methods: [ConfiguredMethod]) async throws -> [String] {
        let tilts: [Guidance.Tilt] = methods.compactMap { method in
            switch method.name {
            case ControlledDecoding.name: .reference
            case TransferQDirect.name:
                method.parameters.contains { $0.name == "tilt" && $0.value == .text(Guidance.Tilt.baseline.rawValue) }
                    ? .baseline : .reference
            default: nil
            }
        }
        var notices: [String] = []
        for tilt in Guidance.Tilt.allCases where tilts.contains(tilt) {
            let (backbone, system, adapter) = try await valueSource(tilt)
            guard head.backbone.sha256 == backbone.sha256, head.backbone.width == backbone.width,
                head.adapter == adapter
            else {
                throw LlamaError.wrongBackbone(
                    head: head.name, model: tilt == .baseline ? (baselineModel ?? model).path : path,
                    reason: "it was fitted on states of \(head.backbone.model)"
                        + (head.adapter == adapter ? "" : ", and adapters differ"))
            }
            if head.backbone.type != backbone.type {
                notices.append(
                    "\(head.name) was fitted in the format \(head.backbone.type ?? "of the file") and runs in "
                        + "\(backbone.type ?? "that of the file"): its values are a little off")
            }
            if head.system != system {
                let fitted = head.system.map { "under the system prompt \"\($0)\"" } ?? "without a system prompt"
                notices.append(
                    "\(head.name) was fitted \(fitted), and the tilted policy has \(system == nil ? "none" : "another"): "
                        + "its values may be far off")
            }
        }
        return notices
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
