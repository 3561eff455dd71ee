import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Contexts with hardly a cell left, on a tiny random model.
@Suite(.serialized, .timeLimit(.minutes(1))) struct FullContextTests {
    private static func context() async throws -> (LlamaContext, TemporaryFolder) {
        let folder = try TemporaryFolder()
        let file = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: file)
        let model = try await LlamaModel(path: file.path)
        return (try await LlamaContext(model: model, configuration: .init(cells: 256, sequences: 8)), folder)
    }

    private static func prompt(_ length: Int, _ salt: Int) -> [Token] {
        (0..<length).map { Token(3 + ($0 * 7 + salt * 31) % 200) }
    }

    /// The baseline is tilted, so the reference's log-probabilities are announced to go along with another batch; where no
    /// candidate needs a rollout, none comes that has room for them.
    @Test func stepsWithoutRolloutsEndWhenTheContextIsFull() async throws {
        var full = 0
        for free in 0..<14 {
            let (context, folder) = try await Self.context()
            defer { withExtendedLifetime(folder) {} }
            let reference = try await LlamaPolicy(context: context, prompt: Self.prompt(120, 1))
            let baseline = try await LlamaPolicy(
                context: context, prompt: Self.prompt(context.cells - 120 - free, 2))
            let task = try DecodingTask(
                reference: reference, baseline: baseline, reward: try LengthReward(target: 20), maximumLength: 100)
            let method = try DecodingMethods.make(
                "transfer-q", ["k": 5, "horizon": 4, "alpha": 1e9, "choice": "greedy", "tilt": "baseline"])
            var (steps, rollouts) = (0, 0)
            do {
                for try await event in try Generation(task: task, method: method.method) {
                    guard case .step(let step) = event else { continue }
                    steps += 1
                    rollouts += step.decision.usage.rollouts
                }
            } catch let error as LlamaError {
                guard case .contextFull = error else { throw error }
                full += 1
            }
            #expect(rollouts == 0)
            #expect(steps <= free + 1, "the first step needs no token, the others one for each policy")
        }
        #expect(full > 10)
    }

    /// What is announced where there is no room is an error for who needs it, and none for who does not.
    @Test func announcementsWithoutRoomAreForgotten() async throws {
        let (context, folder) = try await Self.context()
        defer { withExtendedLifetime(folder) {} }
        let one = try await LlamaPolicy(context: context, prompt: Self.prompt(100, 1))
        let other = try await LlamaPolicy(context: context, prompt: Self.prompt(context.cells - 102, 2))
        _ = try await one.propose(after: [], count: 1)
        _ = try await other.propose(after: [], count: 1)
        try await one.prepare(after: [7], along: [8, 9, 10])
        await #expect(throws: LlamaError.self) {
            try await one.logProbabilities(of: [[5], [5], [5], [5]], after: [7], along: [8, 9, 10])
        }
        // What fits still works.
        #expect(try await one.propose(after: [7], count: 3).count == 3)
        #expect(try await other.propose(after: [7], count: 3).count == 3)
    }
}
