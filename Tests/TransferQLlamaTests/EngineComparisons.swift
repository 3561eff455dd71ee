import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// What is looked at in a few prompts by ``EngineTests`` and in many by ``LongEngineTests``.
extension EngineTests {
    /// With 32-bit weights rounding stays small, so every log-probability above −12 must agree. The quantised file
    /// rounds activations to 8 bits, which turns the last bit of a sum into whole steps; there the two distributions
    /// must agree, and forks must not add to what decoding token by token shows without any.
    static func compareLogits(_ format: Quantization, prompts: Int, steps: Int) async throws {
        let model = format == .f32 ? try await RealModel.precise() : try await RealModel.load()
        let context = try await LlamaContext(model: model, configuration: .init(cells: 1024, sequences: 16))
        let all = (0..<Token(model.tokenizer.size)).map { $0 }
        var reuse = Difference()
        var stepwise = Difference()
        for text in RealModel.prompts.prefix(prompts) {
            let prompt = try model.prompt(for: [Message(role: "user", content: text)])
            let policy = try await LlamaPolicy(context: context, prompt: prompt)
            let plain = try await LlamaPolicy(context: context, prompt: prompt)
            var response: [Token] = []
            for step in 0..<steps {
                let candidates = try await policy.propose(after: response, count: 4)
                _ = try await policy.rollOut(request(response, candidates.map { [$0.token] }, length: 5))
                _ = try await plain.propose(after: response, count: 1)
                // Not always the first, so that every branch gets adopted at some time.
                let next = candidates[step % 4].token
                if policy.tokenizer.isEnd(next) { break }
                response.append(next)
            }
            let fresh = try await LlamaPolicy(context: context, prompt: prompt)
            let scratch = try await fresh.logProbabilities(of: all, after: response)
            reuse.add(try await policy.logProbabilities(of: all, after: response), scratch)
            stepwise.add(try await plain.logProbabilities(of: all, after: response), scratch)
        }
        print("prefix reuse, \(format): \(reuse); token by token: \(stepwise)")
        #expect(reuse.largest > 0, "the two ways must not be one")
        #expect(reuse.kl < 0.03)
        if format == .f32 { #expect(reuse.largest < tolerance) }
        #expect(reuse.kl < 3 * stepwise.kl + 1e-4)
    }

    /// How far apart distributions are.
    private struct Difference: CustomStringConvertible {
        /// Largest KL divergence, nats.
        var kl = 0.0
        /// Largest difference of a log-probability above −12, nats.
        var largest = 0.0

        mutating func add(_ got: [Double], _ expected: [Double]) {
            kl = max(kl, LogSpace.klDivergence(expected, from: got))
            for (a, b) in zip(got, expected) where b > -12 { largest = max(largest, abs(a - b)) }
        }

        var description: String { "KL \(kl), largest difference \(largest) nats" }
    }

    /// - Parameter flips: rollouts that may part at a near-tie.
    static func compareRollouts(prompts: Int, flips most: Int) async throws {
        var flips = 0
        var widest = 0.0
        for text in RealModel.prompts.prefix(prompts) {
            let (policy, context) = try await RealModel.policy(text, sequences: 16, cells: 512)
            let prefixes = try await policy.propose(after: [], count: 4).map { [$0.token] }
            let batched = try await policy.rollOut(request([], prefixes, length: 8))
            for (prefix, expected) in zip(prefixes, batched.map { $0[0] }) {
                let single = try await policy.rollOut(request([], [prefix], length: 8))[0][0]
                if single.tokens == expected.tokens {
                    #expect(abs(single.logProbability - expected.logProbability) < 8 * tolerance)
                    continue
                }
                // A near-tie: where they part, the two tokens must be as good as equal.
                let common = zip(single.tokens, expected.tokens).prefix { $0 == $1 }.map { $0.0 }
                let fresh = try await LlamaPolicy(
                    context: context, prompt: RealModel.load().prompt(for: [Message(role: "user", content: text)]))
                let logs = try await fresh.logProbabilities(
                    of: [single.tokens[common.count], expected.tokens[common.count]], after: prefix + common)
                let gap = abs(logs[0] - logs[1])
                print("near-tie after \"\(text)\": gap \(gap) nats")
                flips += 1
                widest = max(widest, gap)
            }
        }
        print("batched against single: \(flips) flips in \(4 * prompts) rollouts, widest gap \(widest) nats")
        #expect(widest < tolerance)
        #expect(flips <= most)
    }

    /// Many generations in one context: sequences, cells and memory come back.
    static func generate(_ count: Int, in context: LlamaContext, prompt: [Token]) async throws {
        var settled = 0
        for round in 0..<count {
            let policy = try await LlamaPolicy(context: context, prompt: prompt)
            let summary = try await generate(
                policy, ["k": 3, "horizon": 2, "rollouts": 2], length: 3, seed: UInt64(round))
            #expect(!summary.tokens.isEmpty || summary.finishReason == .stop)
            if round == count / 4 { settled = residentMegabytes() }
        }
        #expect(await context.leasedSequences == 0)
        #expect(await context.usedCells == 0)
        let growth = residentMegabytes() - settled
        print("\(count) generations: memory grew by \(growth) MB after the first quarter")
        #expect(growth < 16)
    }

    /// Largest resident memory so far.
    private static func residentMegabytes() -> Int {
        var usage = rusage()
        #if os(macOS)
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss >> 20
        #else
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return usage.ru_maxrss >> 10
        #endif
    }

    /// Indirect transfer whose baseline was aligned with the reward itself comes to what the direct one does, and
    /// controlled decoding to what direct transfer without a baseline does.
    ///
    /// - Parameter policy: a new reference for 0, a new baseline for 1.
    /// - Returns: tokens of the direct answer.
    static func compareIndirect(
        with reward: any RewardModel, policy: (Int) async throws -> LlamaPolicy
    ) async throws -> Int {
        func answer(_ name: String, _ parameters: [String: ParameterValue], baseline: Bool) async throws -> [Token] {
            let task = try DecodingTask(
                reference: try await policy(0), baseline: baseline ? try await policy(1) : nil, reward: reward,
                baselineReward: reward, maximumLength: 10, seed: 5)
            return try await Answer(task, DecodingMethods.make(name, parameters).method).tokens
        }
        let same: [String: ParameterValue] = [
            "k": 5, "horizon": 5, "alpha": 0.05, "rollouts": 8, "rollout-temperature": 1, "choice": "sample",
        ]
        let direct = try await answer("transfer-q", same, baseline: true)
        #expect(try await answer("transfer-q-indirect", same, baseline: true) == direct)
        let alone: [String: ParameterValue] = ["k": 5, "horizon": 5, "alpha": 0.05]
        let own = try await answer("transfer-q", alone, baseline: false)
        #expect(try await answer("cd", alone, baseline: true) == own)
        return direct.count
    }
}
