import Testing
import TransferQ

/// α's default follows the reward's own scale, and what a reward wants is known in words.
@Suite struct RewardUnitTests {
    /// A reward that knows what typical answers are worth, as fitted heads do.
    private struct Calibrated: RewardModel {
        let name = "calibrated"
        let range: ClosedRange<Double>? = nil
        let calibration: RewardCalibration? = RewardCalibration(mean: 2, spread: 4, count: 100)

        func rewards(for completions: [Completion]) async throws -> [Double] {
            completions.map { Double($0.text.count) }
        }
    }

    private static let catalogue = RewardCatalogue.rules.adding([
        RewardKind(name: "calibrated", argument: "", summary: "") { _ in Calibrated() }
    ])

    private static let text = Completion(conversation: [], text: "abcdef", tokens: [1], isFinished: true)

    @Test(arguments: [
        ("calibrated:", 1.0), ("z:calibrated:", 1), ("raw:calibrated:", 6), ("z:4,2:calibrated:", 1),
        ("clip:-5..5:calibrated:", 1), ("raw:z:calibrated:", 1),
    ])
    func calibratedRewardsCountInSpreads(_ specification: String, _ expected: Double) async throws {
        let reward = try await Self.catalogue.parse([specification])
        #expect(try await reward.checkedRewards(for: [Self.text]) == [expected])
    }

    @Test func unitsOfRewards() async throws {
        func unit(_ specifications: String...) async throws -> Double {
            try await Self.catalogue.parse(specifications).unit
        }
        #expect(try await unit("calibrated:") == 1)
        #expect(try await unit("raw:calibrated:") == 4)
        #expect(try await unit("clip:-1..1:calibrated:") == 1)
        #expect(try await unit("length:40") == 0.1)
        #expect(try await unit("keywords:calm,-hate") == 0.2)
        #expect(try await unit("length:40:0.5") == 0.05)
        #expect(abs(try await unit("length:40:3", "keywords:calm:4") - 0.5) < 1e-12)
        #expect(try await unit("length:40:0") == 1)
    }

    @Test func instructionsOfRewards() async throws {
        func instruction(_ specifications: String...) async throws -> String? {
            try await Self.catalogue.parse(specifications).instruction
        }
        #expect(try await instruction("keywords:ocean") == "Use the word \"ocean\" in your answer.")
        #expect(
            try await instruction("z:0,1:keywords:sea,sky,-hate")
                == "Use the words \"sea\", \"sky\" in your answer. Never use the word \"hate\".")
        #expect(
            try await instruction("length:40", "keywords:ocean:-1", "regex:^A") == "Answer in about 40 words.")
        #expect(try await instruction("regex:^A") == nil)
    }

    /// Without an α, the one of a tenth of the rule's range is the same as writing it; it is not 1.
    @Test func defaultAlphaIsOneUnit() async throws {
        func choice(_ parameters: [String: ParameterValue]) async throws -> [Double] {
            let task = try DecodingTask(
                reference: UniformPolicy(), reward: LengthReward(target: 3), maximumLength: 2, seed: 1)
            let method = try DecodingMethods.make("args", parameters.merging(["k": 3]) { $1 }).method
            return try await method.decide(DecodingState(task: task)).candidates.map(\.probability)
        }
        let standard = try await choice([:])
        #expect(try await choice(["alpha": 0.1]) == standard)
        #expect(try await choice(["alpha": 1]) != standard)
    }
}

/// Three words, equally likely; the last ends the response.
private final class UniformPolicy: Policy {
    private struct Words: Tokenizer {
        let size = 3
        let fingerprint = "three"
        func isEnd(_ token: Token) -> Bool { token == 2 }
        func bytes(of token: Token) -> [UInt8] { [Array("a ".utf8), Array("bc".utf8), []][Int(token)] }
        func tokens(of text: String) throws -> [Token] { [] }
    }

    let tokenizer: any Tokenizer = Words()
    let maximumResponseLength = 10
    let promptLength = 0

    func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        (0..<Token(request.count)).map { Candidate(token: $0, logProbability: -1.0986122886681098) }
    }

    func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
        continuations.map { _ in -1.0986122886681098 }
    }

    func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] { [] }
}
