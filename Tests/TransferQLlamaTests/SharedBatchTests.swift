import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// What shares a batch with what, with the real model in 32 bits.
@Suite(.serialized) struct SharedBatchTests {
    @Test func policiesOfSeveralTasksShareBatches() async throws {
        let model = try await RealModel.precise()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 2048, sequences: 32, attention: .precise))
        let prompts = ["Name a river.", "Describe a market.", "Count to five.", "What is rain?"]
        func rollOut(_ prompt: String) async throws -> [[Token]] {
            let policy = try await LlamaPolicy(
                context: context, prompt: model.prompt(for: [Message(role: "user", content: prompt)]))
            let starts = try await policy.propose(after: [], count: 3).map { [$0.token] }
            return try await policy.rollOut(EngineTests.request([], starts, length: 6)).map { $0[0].tokens }
        }
        var alone: [[[Token]]] = []
        for prompt in prompts { alone.append(try await rollOut(prompt)) }
        let (batches, tokens) = (await context.decodedBatches, await context.decodedTokens)
        let together = try await withThrowingTaskGroup(of: (Int, [[Token]]).self) { group in
            for (index, prompt) in prompts.enumerated() { group.addTask { (index, try await rollOut(prompt)) } }
            return try await group.reduce(into: [Int: [[Token]]]()) { $0[$1.0] = $1.1 }
        }
        for index in prompts.indices { #expect(together[index] == alone[index]) }
        #expect(await context.decodedTokens == 2 * tokens)
        // The same tokens in far fewer batches.
        #expect(await context.decodedBatches - batches < batches / 2)
        #expect(await context.usedCells == 0)
    }

    @Test func whatDoesNotFitTogetherIsDecodedApart() async throws {
        let model = try await RealModel.precise()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 256, sequences: 8, attention: .precise))
        let text = try model.prompt(
            for: [Message(role: "user", content: "Where does the rain that falls on a river go?")])
        let (short, cells) = (Array(text.prefix(14)), context.cells)
        let alone = try await context.logLoss(of: short)
        let prompt = (0..<cells - 20).map { text[$0 % text.count] }
        let policy = try await LlamaPolicy(context: context, prompt: prompt)
        _ = try await policy.propose(after: [], count: 1)
        for _ in 0..<3 {
            // Both wait for what is under way, and would share the batch behind it.
            let before = await context.decodedBatches
            let next = Task { try await policy.propose(after: [text[0]], count: 1) }
            while await context.decodedBatches == before { await Task.yield() }
            async let one = context.logLoss(of: short)
            async let other = context.logLoss(of: short)
            for loss in try await [one, other] { #expect(abs(loss - alone) < 1e-2) }
            _ = try await next.value
            _ = try await policy.propose(after: [], count: 1)
        }
    }

    private struct Pair {
        let context: LlamaContext
        let one: LlamaPolicy
        let other: LlamaPolicy
    }

    private static func pair() async throws -> Pair {
        let model = try await RealModel.precise()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 1024, sequences: 32, attention: .precise))
        func policy(_ text: String) async throws -> LlamaPolicy {
            try await LlamaPolicy(
                context: context, prompt: model.prompt(for: [Message(role: "user", content: text)]))
        }
        return Pair(context: context, one: try await policy("Name a river."), other: try await policy("What is rain?"))
    }

    /// A way that a policy goes, with its log-probabilities.
    private static func path(of policy: LlamaPolicy, length: Int) async throws -> (tokens: [Token], logs: [[Double]]) {
        let start = try await policy.propose(after: [], count: 1)[0].token
        let rest = try await policy.rollOut(EngineTests.request([], [[start]], length: length - 1))[0][0].tokens
        let tokens = [start] + rest
        let logs = try await policy.logProbabilities(of: tokens.map { [$0] } + [[0]], after: [], along: tokens)
        return (tokens, logs)
    }

    @Test func whatIsAnnouncedGoesAlongWithAnothersBatch() async throws {
        let pair = try await Self.pair()
        let (tokens, logs) = try await Self.path(of: pair.one, length: 6)
        _ = try await pair.other.propose(after: [], count: 1)
        // The prefix sequence falls back to the prompt.
        _ = try await pair.one.propose(after: [tokens[1]], count: 1)
        let before = (await pair.context.decodedBatches, await pair.context.decodedTokens)
        try await pair.one.prepare(after: Array(tokens.prefix(2)), along: Array(tokens[2...]))
        #expect(await pair.context.decodedBatches == before.0, "nothing is decoded for it alone")
        _ = try await pair.other.propose(after: [tokens[0]], count: 1)
        #expect(await pair.context.decodedBatches == before.0 + 1)
        #expect(await pair.context.decodedTokens == before.1 + 1 + tokens.count)
        let got = try await pair.one.logProbabilities(
            of: tokens[2...].map { [$0] } + [[0]], after: Array(tokens.prefix(2)), along: Array(tokens[2...]))
        #expect(await pair.context.decodedBatches == before.0 + 1, "it was there already")
        for (one, other) in zip(got.joined(), logs[2...].joined()) { #expect(abs(one - other) < 1e-3) }
    }

    @Test func whatIsAnnouncedBringsItsStates() async throws {
        let pair = try await Self.pair()
        let (tokens, logs) = try await Self.path(of: pair.one, length: 4)
        let response = Array(tokens.prefix(3))
        func states() async throws -> PooledState {
            let readings = try await pair.one.read([.init(prefix: [], tokens: [])], after: response)
            return try #require(readings[0].state)
        }
        let alone = try await states()
        _ = try await pair.other.propose(after: [], count: 1)
        _ = try await pair.one.propose(after: [tokens[1]], count: 1)
        let before = await pair.context.decodedBatches
        try await pair.one.prepare(after: response, along: [])
        _ = try await pair.other.propose(after: [tokens[0]], count: 1)
        let together = try await states()
        let log = try await pair.one.logProbabilities(of: [tokens[3]], after: response)[0]
        #expect(await pair.context.decodedBatches == before + 1, "all of it came with the other's batch")
        #expect(abs(log - logs[3][0]) < 1e-3)
        for (one, other) in zip(together.last + together.mean, alone.last + alone.mean) {
            #expect(abs(one - other) < 1e-3 * max(1, abs(other)))
        }
    }

    @Test func whatIsAnnouncedComesAloneWhenNobodyElseDecodes() async throws {
        let pair = try await Self.pair()
        let (tokens, logs) = try await Self.path(of: pair.one, length: 4)
        _ = try await pair.one.propose(after: [tokens[1]], count: 1)
        let before = await pair.context.decodedBatches
        // The second announcement takes the place of the first.
        try await pair.one.prepare(after: [tokens[2]], along: [])
        try await pair.one.prepare(after: [tokens[0]], along: [tokens[1]])
        let got = try await pair.one.logProbabilities(
            of: [[tokens[1]], [tokens[2]]], after: [tokens[0]], along: [tokens[1]])
        #expect(await pair.context.decodedBatches == before + 1)
        for (one, other) in zip(got.joined(), logs[1...2].joined()) { #expect(abs(one - other) < 1e-3) }
        // A policy that goes while something of it waits leaves nothing behind.
        var gone: LlamaPolicy? = try await LlamaPolicy(context: pair.context, prompt: [1, 2, 3])
        _ = try await gone?.propose(after: [], count: 1)
        try await gone?.prepare(after: [4], along: [])
        gone = nil
        _ = try await pair.other.propose(after: [], count: 1)
        #expect(await pair.context.leasedSequences == 2)
    }

    @Test func anAnnouncementThatFailsIsMadeUpFor() async throws {
        let pair = try await Self.pair()
        let (tokens, logs) = try await Self.path(of: pair.one, length: 4)
        _ = try await pair.other.propose(after: [], count: 1)
        _ = try await pair.one.propose(after: [tokens[1]], count: 1)
        try await pair.one.prepare(after: Array(tokens.prefix(2)), along: [])
        // Its batch is called off: who asked for it no longer wants it.
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await pair.other.propose(after: [5], count: 1)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        let got = try await pair.one.logProbabilities(of: [tokens[2]], after: Array(tokens.prefix(2)))
        #expect(abs(got[0] - logs[2][0]) < 1e-3)
    }

    @Test func rolloutsCarryTheCandidatesOfTheirWay() async throws {
        let pair = try await Self.pair()
        let start = try await pair.one.propose(after: [], count: 1)[0].token
        var request = EngineTests.request([], [[start]], length: 6)
        request.candidateCount = 5
        let rollout = try await pair.one.rollOut(request)[0][0]
        #expect(rollout.candidates.count == rollout.tokens.count)
        let prompt = try await RealModel.precise().prompt(for: [Message(role: "user", content: "Name a river.")])
        let fresh = try await LlamaPolicy(context: pair.context, prompt: prompt)
        let path = Array(rollout.tokens.dropLast())
        for (one, other) in zip(
            rollout.candidates, try await fresh.propose(ProposalRequest(response: [start], count: 5), along: path))
        {
            #expect(one.map(\.token) == other.map(\.token))
            for (one, other) in zip(one, other) { #expect(abs(one.logProbability - other.logProbability) < 1e-3) }
        }
        // What a longer rollout takes over keeps its lists.
        request.starts[0].beginning = rollout.dropping(0, length: 3)
        let longer = try await pair.one.rollOut(request)[0][0]
        #expect(longer.candidates.map { $0.map(\.token) } == rollout.candidates.map { $0.map(\.token) })
    }
}
