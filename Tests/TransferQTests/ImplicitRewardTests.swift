import Foundation
import Testing
import TransferQ
import TransferQTheory

/// The implicit reward against the tables that it is made of.
@Suite struct ImplicitRewardTests {
    private static let length = 5

    private struct Reader: ConversationReader {
        let policy: TabularPolicy

        func policy(for conversation: [Message], texts: [[Token]]) async throws -> any Policy { policy }

        func tokens(of completion: Completion) async throws -> [Token] { completion.tokens }
    }

    private static func policy(_ seed: UInt64) -> TabularPolicy {
        .random(vocabularySize: 4, maximumLength: length, endToken: 0, seed: seed)
    }

    private static func exact(_ tokens: [Token], _ policy: TabularPolicy) throws -> Double {
        try tokens.indices.reduce(0) { try $0 + policy.logRow(after: Array(tokens[..<$1]))[Int(tokens[$1])] }
    }

    private static func completion(_ tokens: [Token]) -> Completion {
        Completion(
            conversation: [], text: tokens.map(String.init).joined(separator: " "), tokens: tokens,
            isFinished: tokens.last == 0)
    }

    @Test(arguments: [false, true]) func isTheLogRatioWhateverWasReadBefore(isPerToken: Bool) async throws {
        let (aligned, base) = (Self.policy(1), Self.policy(2))
        let reward = try ImplicitReward(
            name: "implicit", aligned: Reader(policy: aligned), base: Reader(policy: base), beta: 0.7,
            isPerToken: isPerToken)
        let noise = Noise(seed: 3)
        for round in 0..<200 {
            let own = noise.derived(round)
            // A common beginning, as in decoding, and continuations of it, some of which end.
            let start = (0..<Int(own.derived(1).uniform * 4)).map { Token(1 + Int(own.derived(10 + $0).uniform * 3)) }
            let texts = (0..<(1 + Int(own.derived(2).uniform * 4))).map { index -> [Token] in
                let tail = own.derived(20 + index)
                let count = max(1, Int(tail.uniform * Double(Self.length - start.count)))
                let rest = (0..<count).map { Token(1 + Int(tail.derived($0).uniform * 3)) }
                return start + rest.dropLast() + [tail.derived(99).uniform < 0.3 ? 0 : rest[rest.count - 1]]
            }
            let values = try await reward.checkedRewards(for: texts.map(Self.completion))
            for (text, value) in zip(texts, values) {
                let ratio = try Self.exact(text, aligned) - Self.exact(text, base)
                #expect(abs(value - 0.7 * ratio / (isPerToken ? Double(text.count) : 1)) < 1e-9)
            }
        }
    }

    /// docs/mathematics.md section 4: tilting the base by the implicit reward of a policy gives that policy back.
    @Test func softValuesUnderItGiveTheAlignedPolicyBack() async throws {
        let (aligned, base) = (Self.policy(1), Self.policy(2))
        let reward = try ImplicitReward(name: "implicit", aligned: Reader(policy: aligned), base: Reader(policy: base))
        let task = try DecodingTask(reference: base, baseline: aligned, reward: reward, maximumLength: Self.length)
        let method = try DecodingMethods.make(
            "transfer-q-soft",
            ["k": 4, "horizon": .integer(Self.length), "rollouts": 1, "alpha": 1, "beta": 1, "choice": "sample"])
        for response in [[], [1], [2, 3], [3, 3, 1]] as [[Token]] {
            let decision = try await method.method.decide(
                DecodingState(task: task, response: response, step: response.count))
            let row = try aligned.logRow(after: response)
            for candidate in decision.candidates {
                #expect(abs(Foundation.log(candidate.probability) - row[Int(candidate.tokens[0])]) < 1e-9)
            }
        }
    }

    @Test func badBetasAreRefused() {
        let reader = Reader(policy: Self.policy(1))
        for beta in [0, -1, Double.nan, .infinity] {
            #expect(throws: TransferQError.self) {
                try ImplicitReward(name: "implicit", aligned: reader, base: reader, beta: beta)
            }
        }
    }
}
