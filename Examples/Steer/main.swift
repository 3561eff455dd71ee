// Steers the demonstration model towards kind words, and prints the answer as it is chosen.
//
//     scripts/swift run -c release SteerExample
import Foundation
import TransferQ
import TransferQLlama

let path = try ModelStore.standard.resolve("smollm2-135m-instruct").path
let model = try await LlamaModel(path: path)
let context = try await LlamaContext(model: model, configuration: .init(cells: 2048, sequences: 16))
let question = Message(role: "user", content: "My plant is dying. What can I do?")
let kindness = Message(
    role: "system", content: "You are a kind gardener. Say sorry, offer help, mention water and light.")
let reference = try await LlamaPolicy(context: context, prompt: model.prompt(for: [question]))
let baseline = try await LlamaPolicy(context: context, prompt: model.prompt(for: [kindness, question]))
let task = try await DecodingTask(
    reference: reference, baseline: baseline, reward: RewardCatalogue.rules.parse(["keywords:sorry,help,water,light"]),
    maximumLength: 32, seed: 1)
let method = try DecodingMethods.make("transfer-q", ["k": 10, "horizon": 12, "alpha": 0.05])
for try await event in try Generation(task: task, method: method.method) {
    switch event {
    case .step(let step): print(step.text, terminator: "")
    case .finished(let summary): print("\nreward \(summary.reward ?? 0), KL \(summary.kl ?? 0) (\(summary.klKind))")
    }
}
