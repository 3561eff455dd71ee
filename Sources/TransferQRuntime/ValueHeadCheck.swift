import TransferQ
import TransferQLlama
import TransferQRewards

extension LoadedModels {
    /// Refuses a value head of another policy than those that `methods` tilt.
    ///
    /// - Returns: where its states differ a little, a sentence each.
    /// - Throws: ``LlamaError/wrongBackbone(head:model:reason:)``; ``RuntimeError/conflict(_:)`` where the engine has no states.
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
        for tilt in Guidance.Tilt.allCases where tilts.contains(tilt) { notices += try await check(head, tilt) }
        return notices
    }

    private func check(_ head: LinearValueHead, _ tilt: Guidance.Tilt) async throws -> [String] {
        guard let source = try await valueSource(tilt) else {
            throw RuntimeError.conflict(
                "the value head \(head.name) reads hidden states, which the models of this run do not hand out; leave it "
                    + "out, or use a model file in this process")
        }
        guard head.backbone.sha256 == source.backbone.sha256, head.backbone.width == source.backbone.width,
            head.adapter == source.adapter
        else {
            throw LlamaError.wrongBackbone(
                head: head.name, model: source.path,
                reason: "it was fitted on states of \(head.backbone.model)"
                    + (head.adapter == source.adapter ? "" : ", and adapters differ"))
        }
        var notices: [String] = []
        if head.backbone.type != source.backbone.type {
            notices.append(
                "\(head.name) was fitted in the format \(head.backbone.type ?? "of the file") and runs in "
                    + "\(source.backbone.type ?? "that of the file"): its values are a little off")
        }
        if head.system != source.system {
            let fitted = head.system.map { "under the system prompt \"\($0)\"" } ?? "without a system prompt"
            notices.append(
                "\(head.name) was fitted \(fitted), and the tilted policy has "
                    + "\(source.system == nil ? "none" : "another"): its values may be far off")
        }
        return notices
    }
}
