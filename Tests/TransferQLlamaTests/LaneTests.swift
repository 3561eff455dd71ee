import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Contexts that compute at the same time, with the real model in 32 bits.
@Suite(.serialized) struct LaneTests {
    private static let prompts = ["Name a river.", "Describe a market.", "Count to five.", "What is rain?"]

    /// Greedy rollouts of each prompt's candidates, all at the same time in one context.
    private static func rollOut() async throws -> [[[Token]]] {
        let model = try await RealModel.precise()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 2048, sequences: 40, attention: .precise))
        return try await withThrowingTaskGroup(of: (Int, [[Token]]).self) { group in
            for (index, prompt) in prompts.enumerated() {
                group.addTask {
                    let policy = try await LlamaPolicy(
                        context: context, prompt: model.prompt(for: [Message(role: "user", content: prompt)]))
                    let starts = try await policy.propose(after: [], count: 3).map { [$0.token] }
                    let request = EngineTests.request([], starts, length: 8)
                    return (index, try await policy.rollOut(request).map { $0[0].tokens })
                }
            }
            return try await group.reduce(into: [Int: [[Token]]]()) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }
                .map(\.value)
        }
    }

    @Test func lanesComeToTheSameSideBySide() async throws {
        let alone = try await Self.rollOut()
        let lanes = [InferenceLane(threads: 1), InferenceLane(threads: 2), InferenceLane()]
        let together = try await withThrowingTaskGroup(of: [[[Token]]].self) { group in
            for lane in lanes {
                group.addTask { try await InferenceLane.$current.withValue(lane) { try await Self.rollOut() } }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(together == [alone, alone, alone])
    }

    @Test func readersOfTwoLanesDoNotWaitForEachOther() async throws {
        let reader = TextReader(model: try await RealModel.precise(), threads: 1)
        let question = [Message(role: "user", content: "What is rain?")]
        let texts = ["Water that falls.", "Ask the river.", "Water that falls from clouds, mostly."]
        let alone = try await reader.states(of: texts, after: question)
        let spent = await reader.decodedTokens
        let lanes = [InferenceLane(threads: 1), InferenceLane(threads: 1)]
        let together = try await withThrowingTaskGroup(of: [PooledState].self) { group in
            for lane in lanes {
                group.addTask {
                    try await InferenceLane.$current.withValue(lane) {
                        try await reader.states(of: texts, after: question)
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        for states in together {
            for (one, other) in zip(states, alone) {
                #expect(one.source == other.source)
                for (a, b) in zip(one.mean, other.mean) { #expect(abs(a - b) < 1e-4) }
            }
        }
        // Each lane reads for itself, and again costs nothing.
        #expect(await reader.decodedTokens == 3 * spent)
        _ = try await reader.states(of: texts, after: question)
        #expect(await reader.decodedTokens == 3 * spent)
        // What other lanes left goes as well, and is still counted.
        await reader.forget()
        #expect(await reader.decodedTokens == 3 * spent)
        let again = try await reader.states(of: texts, after: question)
        #expect(again.map(\.mean) == alone.map(\.mean))
        #expect(await reader.decodedTokens == 4 * spent)
    }

    @Test func threadsOfALaneAreWithinReason() {
        #expect(InferenceLane(threads: 0).threads == 1)
        #expect(InferenceLane(threads: .max).threads == 1024)
        #expect(InferenceLane().threads == nil)
    }

    @Test func whoeverStopsInOneLaneStopsThereOnly() async throws {
        let alone = try await Self.rollOut()
        let other = Task {
            try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) { try await Self.rollOut() }
        }
        let stopped = Task {
            try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) {
                while true { _ = try await Self.rollOut() }
            }
        }
        #expect(try await other.value == alone)
        stopped.cancel()
        await #expect(throws: CancellationError.self) { try await stopped.value }
    }
}
