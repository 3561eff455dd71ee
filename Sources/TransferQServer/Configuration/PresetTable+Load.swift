import TransferQ
import TransferQLlama
public import TransferQRuntime

extension PresetTable {
    /// Loads all that presets name, so that what is wrong with one is found before a client asks.
    ///
    /// - Parameter makeRuntime: called once for each pair of models that presets have in common.
    /// - Throws: what is wrong with a model, a reward or a method.
    public static func load(
        _ spec: ServerSpec, makeRuntime: (ModelSpec?, BaselineSpec?) throws -> Runtime
    ) async throws -> PresetTable {
        var runtimes: [Models: Runtime] = [:]
        var presets: [Preset] = []
        for (name, preset) in spec.presets.sorted(by: { $0.key < $1.key }) {
            let pair = Models(model: preset.model, baseline: preset.baseline)
            let runtime = try runtimes[pair] ?? makeRuntime(preset.model, preset.baseline)
            runtimes[pair] = runtime
            let method = try preset.configuredMethod.configured()
            let rewards = try await runtime.rewards(for: preset.fullScoring)
            let (models, _) = try await runtime.models(for: [method], rewards: rewards)
            try method.method.validate(vocabularySize: models.tokenizer.size, hasReward: rewards.hasValues)
            try await warmUp(runtime, preset)
            var files = [try await runtime.engine.file(of: preset.model)]
            if let other = preset.baseline?.model { files.append(try await runtime.engine.file(of: other)) }
            presets.append(
                Preset(
                    name: name, spec: preset, runtime: runtime, tokenizer: models.tokenizer,
                    contextLength: models.contextLength, rewardUnit: rewards.target?.unit,
                    secrets: files.compactMap { $0 } + rewards.files))
        }
        return try PresetTable(presets, standard: spec.standard)
    }

    /// Answers with one token, so that what takes its time once, and what fails, does so before a client waits.
    private static func warmUp(_ runtime: Runtime, _ preset: PresetSpec) async throws {
        let request = try AnswerRequest(
            messages: [Message(role: "user", content: "Hello.")], method: preset.configuredMethod,
            scoring: preset.fullScoring, limits: AnswerLimits(maximumTokens: 1))
        do {
            for try await event in runtime.answer(request) {
                if case .failure(let error) = event { throw error }
            }
        } catch LlamaError.noChatTemplate {
            // Completions work without one.
        }
    }

    private struct Models: Hashable {
        let model: ModelSpec?
        let baseline: BaselineSpec?
    }

    /// Pairs of models that presets do not have in common, each of which takes memory of its own.
    public static func runtimeCount(of spec: ServerSpec) -> Int {
        Set(spec.presets.values.map { Models(model: $0.model, baseline: $0.baseline) }).count
    }
}
