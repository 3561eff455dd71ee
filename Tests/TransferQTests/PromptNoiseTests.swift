import Foundation
import Testing
import TransferQ
import TransferQTheory

/// Randomness belongs to one prompt.
@Suite struct PromptNoiseTests {
    static let policy = TabularPolicy.random(vocabularySize: 4, maximumLength: 4, endToken: nil, seed: 1)
    static let other = TabularPolicy.random(vocabularySize: 4, maximumLength: 4, endToken: nil, seed: 2)

    static func user(_ text: String) -> [Message] { [Message(role: "user", content: text)] }

    /// Pairs that must not share their numbers.
    static let different: [([Message], [Message])] = [
        (user("Hello"), user("Hello!")),
        (user("Hello"), user("Hell") + user("o")),
        (user("Hello"), [Message(role: "system", content: "Hello")]),
        (user("Hello"), [Message(role: "system", content: "Be kind.")] + user("Hello")),
        ([Message(role: "user", content: "ab")], [Message(role: "usera", content: "b")]),
        (user("12345678"), user("12345678\u{0}")),
        (user("caf\u{E9}"), user("cafe\u{301}")),
        (user("a") + user("b"), user("b") + user("a")),
        (user(""), []),
    ]

    static func answer(
        to conversation: [Message], _ name: String, _ parameters: [String: ParameterValue], seed: UInt64,
        reference: any Policy = policy
    ) async throws -> [Token] {
        let task = try DecodingTask(
            reference: reference, baseline: other, reward: TabularReward.random(seed: 4), conversation: conversation,
            maximumLength: 4, seed: seed)
        for try await event in try Generation(task: task, method: DecodingMethods.make(name, parameters).method) {
            if case .finished(let summary) = event { return summary.tokens }
        }
        return []
    }

    static let methods: [(String, [String: ParameterValue])] = [
        ("sample", [:]), ("sample", ["temperature": 1.3, "top-p": 0.95]), ("best-of-n", ["n": 2]),
        ("args", ["k": 4, "alpha": 2, "choice": "sample"]),
        ("transfer-q", ["k": 4, "alpha": 2, "horizon": 4, "choice": "sample"]),
        ("transfer-q", ["k": 4, "alpha": 0.05, "horizon": 4, "rollouts": 2, "choice": "greedy"]),
        ("transfer-q", ["k": 4, "alpha": 2, "horizon": 4, "blockwise": 2, "choice": "sample"]),
        ("transfer-q", ["k": 4, "alpha": 2, "horizon": 4, "kl-budget": 0]),
    ]

    @Test(arguments: methods.indices)
    func twoPromptsDrawDifferentNumbers(index: Int) async throws {
        let (name, parameters) = Self.methods[index]
        for (one, two) in Self.different {
            var differing = 0
            for seed in 0..<20 as Range<UInt64> {
                let first = try await Self.answer(to: one, name, parameters, seed: seed)
                #expect(try await Self.answer(to: one, name, parameters, seed: seed) == first)
                if try await Self.answer(to: two, name, parameters, seed: seed) != first { differing += 1 }
            }
            #expect(differing > 0, "\(name) \(parameters): \(one) and \(two)")
        }
    }

    /// Answers to two prompts with one seed are independent draws: they agree as often as draws by chance do.
    @Test func answersToTwoPromptsAreIndependent() async throws {
        let (one, two) = (Self.user("How do I make tea?"), Self.user("How do I make coffee?"))
        var counts = [Int](repeating: 0, count: 16)
        for seed in 0..<4000 as Range<UInt64> {
            let first = try await Self.answer(to: one, "sample", [:], seed: seed)[0]
            let second = try await Self.answer(to: two, "sample", [:], seed: seed)[0]
            counts[Int(4 * first + second)] += 1
        }
        let row = try Self.policy.logRow(after: []).map { exp($0) }
        let expected = row.flatMap { one in row.map { one * $0 } }
        #expect(ChiSquare.accepts(counts: counts, probabilities: expected), "\(counts)")
    }

    /// A policy that tells its prompt: the same conversation laid out in another way is another prompt.
    @Test func theLaidOutPromptCounts() async throws {
        var differing = 0
        for seed in 0..<20 as Range<UInt64> {
            var answers: [[Token]] = []
            for prompt in [[1, 2], [1, 2], [2, 1]] as [[Token]] {
                let policy = PromptedPolicy(Self.policy, prompt: prompt)
                answers.append(try await Self.answer(to: Self.user("Hi"), "sample", [:], seed: seed, reference: policy))
            }
            #expect(answers[0] == answers[1])
            if answers[0] != answers[2] { differing += 1 }
        }
        #expect(differing > 0)
    }

    @Test func messagesAreEqualByteByByte() {
        let (one, two) = (Self.user("caf\u{E9}"), Self.user("cafe\u{301}"))
        #expect(one != two)
        #expect(Set(one + two + one).count == 2)
    }
}

/// A table behind a prompt of tokens.
private final class PromptedPolicy: Policy {
    let base: TabularPolicy
    let prompt: [Token]

    init(_ base: TabularPolicy, prompt: [Token]) {
        self.base = base
        self.prompt = prompt
    }

    var tokenizer: any Tokenizer { base.tokenizer }
    var maximumResponseLength: Int { base.maximumResponseLength }
    var promptLength: Int { 2 }

    func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        try await base.propose(request)
    }

    func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
        try await base.score(continuations, after: response)
    }

    func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] { try await base.rollOut(request) }
}
