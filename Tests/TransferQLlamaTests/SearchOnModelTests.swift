import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Searches on the real model, in 32 bits so that the shape of a batch tells next to nothing, against the plain algorithm:
/// 48 tokens of 30 prompts, with all speed-ups and with each alone.
@Suite(.serialized) struct SearchOnModelTests {
    static let methods: [(String, [String: ParameterValue])] = [
        ("args", ["k": 3]), ("cd", ["k": 3, "horizon": 2]), ("transfer-q", ["k": 3, "horizon": 2, "tilt": "baseline"]),
        ("transfer-q-indirect", ["k": 2, "horizon": 2, "rollouts": 2]),
    ]
    /// What is switched off: everything, nothing, and all but one.
    static let settings = ["all", "", "reuse,look-ahead", "prune,look-ahead", "prune,reuse"]

    private struct Answer: Sendable {
        let task: DecodingTask
        let steps: [DecodingStep]
        let usage: Usage

        var tokens: [Token] { steps.flatMap(\.decision.tokens) }
        var work: Int { usage.rolloutTokens + usage.rewardCalls }
    }

    private static func answer(_ task: DecodingTask, _ method: any DecodingMethod) async throws -> Answer {
        var steps: [DecodingStep] = []
        for try await event in try Generation(task: task, method: method) {
            switch event {
            case .step(let step): steps.append(step)
            case .finished(let summary): return Answer(task: task, steps: steps, usage: summary.usage)
            }
        }
        throw CancellationError()
    }

    /// Answers to a prompt with every setting, side by side: they share the context's batches.
    private static func answers(
        to prompt: String, _ name: String, _ parameters: [String: ParameterValue]
    ) async throws -> [Answer] {
        let model = try await RealModel.precise()
        let reward = try await RewardCatalogue.rules.parse(["length:24", "keywords:tea,calm,first,-hate:0.5"])
        let question = Message(role: "user", content: prompt)
        let kindness = Message(role: "system", content: "You are kind.")
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 2048, sequences: 96, attention: .precise))
        return try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            for (setting, without) in Self.settings.enumerated() {
                let task = try await DecodingTask(
                    reference: LlamaPolicy(context: context, prompt: model.prompt(for: [question]), share: 12),
                    baseline: LlamaPolicy(
                        context: context, prompt: model.prompt(for: [kindness, question]), share: 12),
                    reward: reward, maximumLength: 48, seed: 3)
                let own: [String: ParameterValue] =
                    ["width": 12].merging(without.isEmpty ? [:] : ["without": .text(without)]) { $1 }
                let method = try DecodingMethods.make(name, parameters.merging(own) { $1 }).method
                group.addTask { (setting, try await answer(task, method)) }
            }
            return try await group.reduce(into: [Int: Answer]()) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }.map(
                \.value)
        }
    }

    /// What the plain algorithm's choice is ahead of another token at a step, as the choice compares them.
    private static func gap(_ plain: Answer, at step: Int, to token: Token, isDrawn: Bool) throws -> Double {
        let decision = plain.steps[step].decision
        let response = plain.steps[..<step].flatMap(\.decision.tokens)
        let noise = DecodingState(task: plain.task, response: response, step: step).noise(.choice)
        func score(_ token: Token) throws -> Double {
            let candidate = try #require(decision.candidates.first { $0.tokens == [token] })
            return candidate.score + (isDrawn ? noise.derived(Int(token)).gumbel : 0)
        }
        return try score(decision.tokens[0]) - score(token)
    }

    /// How answers to some prompts compare.
    private struct Tally {
        var plainWork = 0
        var fastWork = 0
        var compared = 0
        var ties = 0
    }

    private static func compare(_ prompts: [String], index: Int, choice: String) async throws -> Tally {
        let (name, own) = Self.methods[index]
        let parameters = own.merging(["alpha": 0.1, "choice": .text(choice)]) { $1 }
        var tally = Tally()
        for prompt in prompts {
            let answers = try await Self.answers(to: prompt, name, parameters)
            let plain = answers[0]
            for (fast, without) in zip(answers, Self.settings).dropFirst() {
                let step = zip(fast.tokens, plain.tokens).prefix { $0 == $1 }.count
                tally.compared += step
                if fast.tokens == plain.tokens { continue }
                // A near-tie, which rounding decides; behind it the answers are others.
                let gap = try Self.gap(plain, at: step, to: fast.tokens[step], isDrawn: choice == "sample")
                print("\(name) \(choice) without \(without), \(prompt): step \(step) is a tie within \(gap)")
                #expect(gap <= 1e-3, "\(name) \(choice) without \(without), \(prompt), step \(step)")
                tally.ties += 1
            }
            tally.plainWork += plain.work
            tally.fastWork += answers[1].work
        }
        return tally
    }

    @Test(arguments: methods.indices, ["greedy", "sample"])
    func speedUpsChooseTheSameTokens(index: Int, choice: String) async throws {
        // Half of the prompts in each of two lanes, which two processors get done sooner.
        let prompts = RealModel.prompts.prefix(30)
        let halves = [Array(prompts.prefix(15)), Array(prompts.dropFirst(15))]
        let total = try await withThrowingTaskGroup(of: Tally.self) { group in
            for half in halves {
                group.addTask {
                    try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) {
                        try await Self.compare(half, index: index, choice: choice)
                    }
                }
            }
            return try await group.reduce(into: Tally()) { total, tally in
                total.plainWork += tally.plainWork
                total.fastWork += tally.fastWork
                total.compared += tally.compared
                total.ties += tally.ties
            }
        }
        print("\(Self.methods[index].0) \(choice): \(total)")
        #expect(total.compared > 30 * 4 * 24 && total.ties <= 4)
        #expect(total.fastWork <= total.plainWork)
    }
}
