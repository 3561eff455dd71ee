import Foundation
import Testing
import TransferQ
import TransferQTheory

/// What must be equal for two completions to be scored once.
@Suite(.timeLimit(.minutes(1))) struct RewardIdentityTests {
    /// Tokens that spell the same text in other ways, as those of real vocabularies do.
    private struct Spellings: Tokenizer {
        static let texts = ["", "ab", "a", "b", "caf\u{E9}", "cafe\u{301}"]
        var size: Int { Self.texts.count }
        var fingerprint: String { "spellings" }

        func isEnd(_ token: Token) -> Bool { token == 0 }

        func bytes(of token: Token) -> [UInt8] { Array(Self.texts[Int(token)].utf8) }

        func tokens(of text: String) throws -> [Token] { [] }
    }

    private final class Speller: Policy {
        let base = TabularPolicy.random(vocabularySize: 6, maximumLength: 4, endToken: 0, spread: 0.3, seed: 7)
        var tokenizer: any Tokenizer { Spellings() }
        var maximumResponseLength: Int { 4 }
        var promptLength: Int { 0 }

        func propose(_ request: ProposalRequest) async throws -> [Candidate] {
            try await base.propose(request)
        }

        func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
            try await base.score(continuations, after: response)
        }

        func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] { try await base.rollOut(request) }
    }

    /// Of tokens, and of the bytes of the text.
    private struct Telling: RewardModel {
        var name: String { "telling" }
        var range: ClosedRange<Double>? { nil }

        static func reward(_ tokens: [Token], _ text: String) -> Double {
            tokens.reduce(Noise(seed: 1)) { $0.derived(Int($1)) }.uniform + Double(text.utf8.count)
        }

        func rewards(for completions: [Completion]) async throws -> [Double] {
            completions.map { Self.reward($0.tokens, $0.text) }
        }
    }

    @Test func everySpellingHasItsOwnReward() async throws {
        var (rollouts, sharing) = (0, 0)
        for seed in 0..<40 as Range<UInt64> {
            for (name, parameters) in [
                ("best-of-n", ["n": 60]), ("args", ["k": 6, "without": "all"]),
                ("cd", ["k": 6, "horizon": 4, "rollouts": 8, "without": "all"]),
                ("transfer-q-indirect", ["k": 6, "horizon": 4, "rollouts": 8, "without": "all"]),
            ] as [(String, [String: ParameterValue])] {
                let task = try DecodingTask(
                    reference: Speller(), reward: Telling(), baselineReward: Telling(), maximumLength: 4, seed: seed)
                var response: [Token] = []
                for step in try await SearchTests.answer(name, parameters, task).steps {
                    var texts: [String: Set<[Token]>] = [:]
                    for candidate in step.decision.candidates {
                        for scored in candidate.rollouts {
                            let own = name == "best-of-n" ? [] : candidate.tokens
                            let tokens = response + own + scored.rollout.tokens
                            let text = Spellings().text(of: tokens)
                            #expect(scored.reward == Telling.reward(tokens, text))
                            texts[text, default: []].insert(tokens)
                            rollouts += 1
                        }
                    }
                    sharing += texts.values.count { $0.count > 1 }
                    response += step.decision.tokens
                }
            }
        }
        // Texts that came in several spellings within one batch.
        #expect(sharing > 100 && rollouts > 10_000, "\(sharing) \(rollouts)")
    }
}
