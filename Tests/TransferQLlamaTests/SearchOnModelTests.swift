import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Searches on the real model, in 32 bits so that the shape of a batch tells nothing, against the plain algorithm.
@Suite(.serialized) struct SearchOnModelTests {
    static let prompts = ["Name some flowers.", "My neighbour is rude. What now?"]
    static let methods: [(String, [String: ParameterValue])] = [
        ("args", [:]), ("cd", ["horizon": 5]), ("transfer-q", ["horizon": 5]),
        ("transfer-q", ["horizon": 5, "tilt": "baseline"]), ("transfer-q-indirect", ["horizon": 4, "rollouts": 2]),
    ]

    @Test(arguments: methods.indices)
    func speedUpsChooseTheSameTokens(index: Int) async throws {
        let (name, own) = Self.methods[index]
        let model = try await RealModel.precise()
        let reward = try await RewardCatalogue.rules.parse(["length:12", "keywords:rose,calm,sorry,-hate:0.5"])
        var (plainTokens, fastTokens) = (0, 0)
        for prompt in Self.prompts {
            let question = Message(role: "user", content: prompt)
            let kindness = Message(role: "system", content: "You are kind and brief.")
            for choice in ["greedy", "sample"] {
                var answers: [[Token]] = []
                for without in ["all", nil] {
                    let context = try await LlamaContext(
                        model: model, configuration: .init(cells: 2048, sequences: 48, isPrecise: true))
                    let task = try await DecodingTask(
                        reference: LlamaPolicy(context: context, prompt: model.prompt(for: [question])),
                        baseline: LlamaPolicy(context: context, prompt: model.prompt(for: [kindness, question])),
                        reward: reward, maximumLength: 14, seed: 3)
                    var parameters = own.merging(["k": 4, "alpha": 0.1, "choice": .text(choice)]) { $1 }
                    if let without { parameters["without"] = .text(without) }
                    let method = try DecodingMethods.make(name, parameters).method
                    for try await event in try Generation(task: task, method: method) {
                        guard case .finished(let summary) = event else { continue }
                        answers.append(summary.tokens)
                        if without == nil {
                            fastTokens += summary.usage.rolloutTokens + summary.usage.rewardCalls
                        } else {
                            plainTokens += summary.usage.rolloutTokens + summary.usage.rewardCalls
                        }
                    }
                }
                #expect(answers[0] == answers[1], "\(name) \(own) \(choice)")
                #expect(answers[0].count > 4)
            }
        }
        // Looking ahead may be in vain now and then, but not much.
        #expect(fastTokens <= plainTokens * 11 / 10, "\(fastTokens) of \(plainTokens)")
    }
}
