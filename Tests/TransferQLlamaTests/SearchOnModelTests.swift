import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Searches on the real model, in 32 bits so that the shape of a batch tells next to nothing, against the plain algorithm.
/// ``SharpModelTests`` try every method and setting.
@Suite(.serialized) struct SearchOnModelTests {
    static let methods: [(String, [String: ParameterValue])] = [
        ("args", ["k": 3]), ("cd", ["k": 3, "horizon": 2]), ("transfer-q", ["k": 3, "horizon": 2, "tilt": "baseline"]),
        ("transfer-q-indirect", ["k": 2, "horizon": 2, "rollouts": 2]),
    ]

    /// What is compared with what.
    struct Comparison: Sendable {
        /// Of ``methods``.
        let index: Int
        let choice: String
        /// Tokens of an answer.
        let length: Int
        /// What is switched off, the plain algorithm first.
        let settings: [String]
    }

    /// Answers to a prompt with every setting, side by side: they share the context's batches.
    private static func answers(to prompt: String, _ comparison: Comparison) async throws -> [Answer] {
        let model = try await RealModel.precise()
        let reward = try await RewardCatalogue.rules.parse(["length:24", "keywords:tea,calm,first,-hate:0.5"])
        let question = Message(role: "user", content: prompt)
        let kindness = Message(role: "system", content: "You are kind.")
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 2048, sequences: 96, attention: .precise))
        let (name, own) = methods[comparison.index]
        let parameters = own.merging(["alpha": 0.1, "choice": .text(comparison.choice), "width": 12]) { $1 }
        return try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            for (setting, without) in comparison.settings.enumerated() {
                let task = try await DecodingTask(
                    reference: LlamaPolicy(context: context, prompt: model.prompt(for: [question]), rolloutLimit: 12),
                    baseline: LlamaPolicy(
                        context: context, prompt: model.prompt(for: [kindness, question]), rolloutLimit: 12),
                    reward: reward, maximumLength: comparison.length, seed: 3)
                let speed: [String: ParameterValue] = without.isEmpty ? [:] : ["without": .text(without)]
                let method = try DecodingMethods.make(name, parameters.merging(speed) { $1 }).method
                group.addTask { (setting, try await Answer(task, method)) }
            }
            return try await group.reduce(into: [Int: Answer]()) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }.map(
                \.value)
        }
    }

    private static func compare(_ prompts: [String], _ comparison: Comparison) async throws -> SharpModelTests.Tally {
        var tally = SharpModelTests.Tally()
        for prompt in prompts {
            let answers = try await answers(to: prompt, comparison)
            let plain = answers[0]
            for (fast, without) in zip(answers, comparison.settings).dropFirst() {
                let step = zip(fast.tokens, plain.tokens).prefix { $0 == $1 }.count
                tally.answers += 1
                tally.compared += step
                if fast.tokens == plain.tokens { continue }
                // A near-tie, which rounding decides; behind it the answers are others.
                let lead = plain.lead(at: step, over: fast.tokens[step], isDrawn: comparison.choice == "sample")
                let name = "\(methods[comparison.index].0) \(comparison.choice) without \(without)"
                print("\(name), \(prompt): step \(step) is a tie within \(lead)")
                #expect(lead <= 1e-3, "\(name), \(prompt), step \(step)")
                tally.ties += 1
            }
            tally.plainWork += plain.work
            tally.prunedWork += answers[1].work
        }
        return tally
    }

    /// Half of the prompts in each of two lanes, which two processors get done sooner.
    static func compareInTwoLanes(_ prompts: [String], _ comparison: Comparison) async throws -> SharpModelTests.Tally {
        let half = (prompts.count + 1) / 2
        let tallies = try await SharpModelTests.inTwoLanes(0..<2) { lane in
            try await compare(Array(lane == 0 ? prompts.prefix(half) : prompts.dropFirst(half)), comparison)
        }
        return tallies.reduce(into: .init()) { $0 += $1 }
    }

    @Test(arguments: methods.indices, ["greedy", "sample"])
    func speedUpsChooseTheSameTokens(index: Int, choice: String) async throws {
        let total = try await Self.compareInTwoLanes(
            Array(RealModel.prompts.prefix(2)), .init(index: index, choice: choice, length: 10, settings: ["all", ""]))
        #expect(total.answers == 2 && total.compared > 2 * 5 && total.ties <= 1, "\(total)")
        #expect(total.prunedWork <= total.plainWork)
    }
}

/// The same at length: 48 tokens of 30 prompts, with all speed-ups and with each alone.
@Suite(.serialized) struct LongSearchOnModelTests {
    @Test(arguments: SearchOnModelTests.methods.indices, ["greedy", "sample"])
    func speedUpsChooseTheSameTokens(index: Int, choice: String) async throws {
        let total = try await SearchOnModelTests.compareInTwoLanes(
            Array(RealModel.prompts.prefix(30)),
            .init(index: index, choice: choice, length: 48, settings: SharpModelTests.settings))
        print("\(SearchOnModelTests.methods[index].0) \(choice): \(total)")
        #expect(total.compared > 30 * 4 * 24 && total.ties <= 4)
        #expect(total.prunedWork <= total.plainWork)
    }
}
