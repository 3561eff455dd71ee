import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// What an in-process policy offers beyond its duties saves work and changes no token.
@Suite(.serialized) struct PlainPolicyTests {
    /// A policy that keeps to its duties.
    private final class PlainPolicy: Policy {
        let base: LlamaPolicy

        init(_ base: LlamaPolicy) { self.base = base }

        var tokenizer: any Tokenizer { base.tokenizer }
        var maximumResponseLength: Int { base.maximumResponseLength }
        var promptLength: Int { base.promptLength }
        var prompt: [Token] { base.prompt }

        func propose(_ request: ProposalRequest) async throws -> [Candidate] { try await base.propose(request) }

        func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
            try await base.score(continuations, after: response)
        }

        func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
            var request = request
            (request.wantsStates, request.candidateCount) = (false, 0)
            return try await base.rollOut(request)
        }
    }

    static let methods: [(String, [String: ParameterValue])] =
        SharpModelTests.methods + [
            ("greedy", [:]), ("greedy", ["policy": "baseline"]), ("sample", ["policy": "baseline", "top-k": 20]),
            ("sample", [:]), ("best-of-n", ["n": 4]), ("transfer-q", ["horizon": 3, "blockwise": 2]),
            ("transfer-q", ["horizon": 3, "kl-budget": 3]), ("transfer-q", ["horizon": 6, "tilt": "baseline"]),
            ("transfer-q", ["horizon": 4, "confidence": 0.9]), ("transfer-q", ["horizon": 4, "race": "on"]),
        ]

    @Test(arguments: methods.indices)
    func tokensAreThoseOfThePlainPolicy(index: Int) async throws {
        let (name, own) = Self.methods[index]
        let known = Set(try DecodingMethods.make(name).parameters.map(\.name))
        let sharp = try await SharpModel(seed: 3)
        for number in 0..<3 {
            for choice in ["greedy", "sample"] where known.contains("choice") || choice == "greedy" {
                var parameters = own
                if known.contains("k") { (parameters["k"], parameters["alpha"]) = (4, 0.2) }
                let draws = own["kl-budget"] != nil
                if known.contains("choice"), !draws { parameters["choice"] = .text(choice) }
                let method = try DecodingMethods.make(name, parameters).method
                let reward = SmoothReward(seed: 3, hasRange: number > 0)
                let context = try await sharp.context()
                let task = try await sharp.task(number, in: context, reward: reward, length: 12)
                let refined = try await Answer(task, method)
                let other = try await sharp.context()
                func plain(_ number: Int) async throws -> PlainPolicy {
                    PlainPolicy(try await sharp.policy(number, in: other))
                }
                let hidden = try await Answer(
                    DecodingTask(
                        reference: plain(2 * number), baseline: plain(2 * number + 1), reward: reward,
                        maximumLength: 12, seed: task.seed), method)
                #expect(refined.tokens == hidden.tokens, "\(name) \(parameters), \(number)")
                #expect(refined.summary.reward == hidden.summary.reward)
            }
        }
    }
}
