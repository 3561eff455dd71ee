import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// What ends an answer that is read as a finished one.
@Suite struct FinishedAnswerTests {
    private struct Reference: Decodable {
        struct Reward: Decodable {
            let answer: String
            let reward: Double
            let tokens: Int
        }

        let system: String
        let question: String
        let promptTokens: [Int]
        let rewards: [Reward]
    }

    /// Twenty finished answers against torch (Benchmarks/implicit_rewards.py), to a hundredth of a nat.
    @Test func implicitRewardsOfFinishedAnswersAreTorchs() async throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "TestSupport/implicit_rewards.json")
        let reference = try JSONDecoder().decode(Reference.self, from: Data(contentsOf: file))
        let model = try await RealModel.precise()
        let aligned = TextReader(model: model, system: reference.system)
        let base = TextReader(model: model)
        let reward = try ImplicitReward(name: "implicit", aligned: aligned, base: base)
        let conversation = [Message(role: "user", content: reference.question)]
        let lengths = try await [aligned.prompt(for: conversation).count, base.prompt(for: conversation).count]
        #expect(lengths == reference.promptTokens)
        let completions = reference.rewards.map {
            Completion(conversation: conversation, text: $0.answer, tokens: [], isFinished: true)
        }
        let values = try await reward.rewards(for: completions)
        for ((value, expected), completion) in zip(zip(values, reference.rewards), completions) {
            let tokens = await base.tokens(of: completion)
            #expect(tokens.count == expected.tokens && tokens.last == 2, "\(expected.answer)")
            #expect(abs(value - expected.reward) < 1e-2, "\(expected.answer): \(value), not \(expected.reward)")
        }
    }

    /// What was written with an end of its own keeps it, unless the tokens are another vocabulary's.
    @Test func theEndThatWasWrittenStays() async throws {
        let folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        let model = try await LlamaModel(path: folder.file("tiny.gguf").path)
        let reader = TextReader(model: model)
        // Of the tiny vocabulary: </s> and <|im_end|>; a, b.
        let (own, closing): (Token, Token) = (2, 260)
        let letters = await reader.tokens(of: "ab")
        // As it is written, which may begin with a space of the vocabulary's own.
        let text = model.tokenizer.text(of: letters)
        func end(_ tokens: [Token]) async -> Token? {
            await reader.tokens(
                of: Completion(conversation: [], text: text, tokens: tokens, isFinished: true)
            ).last
        }
        #expect(await end([]) == closing)
        #expect(await end(letters + [own]) == own)
        #expect(await end(letters + [closing]) == closing)
        #expect(await end([300, own]) == closing)
        let unfinished = Completion(conversation: [], text: "ab", tokens: letters, isFinished: false)
        #expect(await reader.tokens(of: unfinished) == letters)
    }
}
