import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// What ``EngineTests`` and ``RewardModelTests`` look at in two prompts, in many.
@Suite(.serialized) struct LongEngineTests {
    @Test(arguments: [Quantization.f32, .q8])
    func logitsAfterPrefixReuseEqualLogitsFromScratch(format: Quantization) async throws {
        try await EngineTests.compareLogits(format, prompts: 6, steps: 12)
    }

    @Test func batchedRolloutsEqualSingleOnes() async throws {
        try await EngineTests.compareRollouts(prompts: 50, flips: 4)
    }

    @Test func twoHundredGenerationsLeaveNothingBehind() async throws {
        let model = try await RealModel.load()
        let context = try await LlamaContext(model: model, configuration: .init(cells: 512, sequences: 20))
        let prompt = try model.prompt(for: [Message(role: "user", content: "Hello there.")])
        try await EngineTests.generate(200, in: context, prompt: prompt)
    }

    @Test func indirectWithTheSameRewardAndControlledDecodingAgreeWithDirect() async throws {
        let model = try await RealModel.load()
        let context = try await LlamaContext(model: model, configuration: .init(cells: 4096, sequences: 128))
        let turns = [
            Message(role: "system", content: "You are a proud gardener."),
            Message(role: "user", content: "Tell me about your garden."),
        ]
        let reward = try await RewardCatalogue.rules.parse(["keywords:flowers,garden,love,grow"])
        let count = try await EngineTests.compareIndirect(with: reward) { number in
            try await LlamaPolicy(context: context, prompt: model.prompt(for: number == 0 ? [turns[1]] : turns))
        }
        #expect(count > 3)
    }

    @Test func cachedRewardsEqualUncachedOnes() async throws { try await RewardModelTests.compareCached(rounds: 100) }

    @Test func batchesEqualSingles() async throws { try await RewardModelTests.compareBatches(texts: 30) }
}
