import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Baselines: other prompts, adapters, other files.
@Suite(.serialized) struct BaselineTests {
    @Test func systemPromptSteersTheRollouts() async throws {
        let model = try await RealModel.load()
        let context = try await LlamaContext(model: model, configuration: .init(cells: 2048, sequences: 32))
        let user = Message(role: "user", content: "How was your day?")
        let pirate = Message(role: "system", content: "You are a pirate. Every answer begins with Ahoy.")
        let reference = try await LlamaPolicy(context: context, prompt: model.prompt(for: [user]))
        let baseline = try await LlamaPolicy(context: context, prompt: model.prompt(for: [pirate, user]))
        let plain = try await reference.propose(after: [], count: 1)
        let steered = try await baseline.propose(after: [], count: 1)
        #expect(plain[0] != steered[0])
        let summary = try await EngineTests.generate(
            reference, baseline: baseline, ["k": 4, "horizon": 4, "tilt": "baseline"], length: 5)
        #expect(try #require(summary.kl) > 0)
        #expect(summary.usage.promptTokens == reference.promptLength + baseline.promptLength)
    }

    @Test func adapterChangesWhatItAdaptsAndOnlyThat() async throws {
        let model = try await RealModel.load()
        let folder = try TemporaryFolder()
        let prompt = try model.prompt(for: [Message(role: "user", content: "Say something.")])
        func policy(_ adapter: LlamaAdapter?) async throws -> LlamaPolicy {
            let context = try await LlamaContext(
                model: model, adapter: adapter, configuration: .init(cells: 512, sequences: 8))
            return try await LlamaPolicy(context: context, prompt: prompt)
        }
        func adapter(scale: Float) async throws -> LlamaAdapter {
            let file = folder.file("adapter\(scale).gguf")
            try ModelWriter.adapter(to: file, width: 576, outputWidth: 576, scale: scale)
            return try await LlamaAdapter(path: file.path, model: model)
        }
        let plain = try await policy(nil).propose(after: [], count: 20)
        let zero = try await policy(adapter(scale: 0)).propose(after: [], count: 20)
        let strong = try await policy(adapter(scale: 8)).propose(after: [], count: 20)
        let plainAgain = try await policy(nil).propose(after: [], count: 20)
        #expect(plain == plainAgain)
        #expect(plain.map(\.token) == zero.map(\.token))
        #expect(zip(plain, zero).allSatisfy { abs($0.logProbability - $1.logProbability) < EngineTests.tolerance })
        #expect(zip(plain, strong).contains { abs($0.logProbability - $1.logProbability) > 0.1 })
    }

    @Test func adapterForAnotherModelIsRefused() async throws {
        let folder = try TemporaryFolder()
        let file = folder.file("other.gguf")
        try ModelWriter.adapter(to: file, width: 64, outputWidth: 64, scale: 1)
        let model = try await RealModel.load()
        let error = await #expect(throws: LlamaError.self) {
            try await LlamaAdapter(path: file.path, model: model)
        }
        #expect(error?.description.contains("does not fit the model") == true)
        // A model is no adapter.
        await #expect(throws: LlamaError.self) { try await LlamaAdapter(path: model.path, model: model) }
    }

    @Test func anotherFileOfTheSameVocabularyIsABaseline() async throws {
        let folder = try TemporaryFolder()
        let files = ["a.gguf", "b.gguf", "c.gguf"].map(folder.file)
        try ModelWriter.tinyModel(to: files[0], seed: 1)
        try ModelWriter.tinyModel(to: files[1], seed: 50)
        try ModelWriter.tinyModel(to: files[2], seed: 1, vocabularyPadding: 3)
        var policies: [LlamaPolicy] = []
        for file in files {
            let model = try await LlamaModel(path: file.path)
            let context = try await LlamaContext(model: model, configuration: .init(cells: 512, sequences: 16))
            policies.append(try await LlamaPolicy(context: context, prompt: model.prompt(continuing: "abc")))
        }
        let summary = try await EngineTests.generate(
            policies[0], baseline: policies[1], ["k": 5, "horizon": 3, "rollouts": 2], length: 4)
        #expect(summary.usage.completionTokens > 0)
        #expect(throws: TransferQError.self) {
            try DecodingTask(reference: policies[0], baseline: policies[2], maximumLength: 4)
        }
    }
}
