import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// The engine with the real model. Serialised: every test wants the whole machine.
@Suite(.serialized) struct EngineTests {
    /// Largest difference of a log-probability, in nats, that the same tokens may show when they were decoded in batches
    /// of other shapes. llama.cpp picks other kernels for other widths, and these round differently.
    static let tolerance = 0.05

    static func request(
        _ response: [Token], _ prefixes: [[Token]], length: Int, count: Int = 1, sampling: Sampling = .greedy
    ) -> RolloutRequest {
        RolloutRequest(
            response: response, prefixes: prefixes, count: count, maximumLength: length, sampling: sampling,
            noise: Noise(seed: 3))
    }

    @Test(arguments: [Quantization.f32, .q8])
    func logitsAfterPrefixReuseEqualLogitsFromScratch(format: Quantization) async throws {
        try await Self.compareLogits(format, prompts: 2, steps: 6)
    }

    @Test func batchedRolloutsEqualSingleOnes() async throws { try await Self.compareRollouts(prompts: 2, flips: 1) }

    @Test func sampledRolloutsDependOnSeedAndIndexOnly() async throws {
        let (policy, _) = try await RealModel.policy("Tell me about rivers.")
        let prefixes = try await policy.propose(after: [], count: 3).map { [$0.token] }
        let together = try await policy.rollOut(
            Self.request([], prefixes, length: 6, count: 3, sampling: .ancestral))
        let again = try await policy.rollOut(
            Self.request([], Array(prefixes.reversed()), length: 6, count: 3, sampling: .ancestral))
        #expect(together.map { $0.map(\.tokens) } == again.reversed().map { $0.map(\.tokens) })
        #expect(Set(together[0].map(\.tokens)).count > 1)
        for rollout in together.joined() { #expect(rollout.logProbability < 0) }
    }

    @Test func sampledTokensFollowTheModel() async throws {
        let (policy, _) = try await RealModel.policy("Say yes or no.")
        let top = try await policy.propose(after: [], count: 6)
        var counts = [Int](repeating: 0, count: top.count + 1)
        let draws = try await policy.rollOut(
            Self.request([], [[]], length: 1, count: 4000, sampling: .ancestral))[0]
        for draw in draws {
            counts[top.firstIndex { $0.token == draw.tokens[0] } ?? top.count] += 1
        }
        for (index, candidate) in top.enumerated() {
            let probability = exp(candidate.logProbability)
            let error = (probability * (1 - probability) / 4000).squareRoot()
            #expect(abs(Double(counts[index]) / 4000 - probability) < 5 * error)
        }
    }

    static func generate(
        _ policy: LlamaPolicy, baseline: LlamaPolicy? = nil, method: String = "transfer-q",
        _ parameters: [String: ParameterValue] = [:], length: Int = 8, seed: UInt64 = 1,
        reward: String = "length:20"
    ) async throws -> GenerationSummary {
        let task = try await DecodingTask(
            reference: policy, baseline: baseline, reward: RewardCatalogue.rules.parse([reward]),
            maximumLength: length, seed: seed)
        let configured = try DecodingMethods.make(method, parameters)
        for try await event in try Generation(task: task, method: configured.method) {
            if case .finished(let summary) = event { return summary }
        }
        throw CancellationError()
    }

    @Test func noTokenIsDecodedTwice() async throws {
        let (policy, _) = try await RealModel.policy("Name some flowers.")
        let summary = try await Self.generate(
            policy, ["k": 5, "horizon": 4, "alpha": 0.1, "without": "all"], length: 10)
        // A rollout of n tokens decodes its candidate and all its tokens but the last; the chosen candidate is kept.
        let decoded = await policy.decodedTokens
        #expect(decoded == policy.promptLength + summary.usage.rolloutTokens)
        #expect(summary.usage.rolloutTokens > 100)
    }

    @Test func weighingDecodesEveryCandidateOnce() async throws {
        let (reference, context) = try await RealModel.policy("Name some flowers.")
        let baseline = try await LlamaPolicy(
            context: context,
            prompt: RealModel.load().prompt(for: [
                Message(role: "system", content: "Be brief."), Message(role: "user", content: "Name some flowers."),
            ]))
        let summary = try await Self.generate(
            reference, baseline: baseline, method: "transfer-q-soft",
            ["k": 4, "horizon": 4, "rollouts": 3, "alpha": 0.1], length: 6)
        // The reference reads of each rollout all but the last token, and of each step's k candidates each once at most.
        let read = await reference.decodedTokens - reference.promptLength
        let steps = summary.usage.completionTokens
        #expect(read <= summary.usage.readTokens - 12 * (steps - 1) + 4 * steps + 12)
        #expect(read > summary.usage.readTokens / 2)
    }

    @Test(arguments: ["transfer-q", "sample", "best-of-n", "greedy"])
    func sameSeedGivesTheSameAnswer(method: String) async throws {
        let (policy, context) = try await RealModel.policy("Write a line about autumn.", system: "Be brief.")
        let prompt = try await RealModel.load().prompt(for: [
            Message(role: "system", content: "Be brief."),
            Message(role: "user", content: "Write a line about autumn."),
        ])
        let parameters: [String: ParameterValue] =
            method == "transfer-q" ? ["k": 4, "horizon": 4, "rollouts": 2, "alpha": 0.2, "choice": "sample"] : [:]
        let first = try await Self.generate(policy, method: method, parameters, length: 7)
        let second = try await Self.generate(
            LlamaPolicy(context: context, prompt: prompt), method: method, parameters, length: 7)
        #expect(first.tokens == second.tokens)
        #expect(first.reward == second.reward)
        if method != "greedy" {
            let other = try await Self.generate(policy, method: method, parameters, length: 7, seed: 2)
            #expect(other.tokens != first.tokens)
        }
    }

    @Test func generationsLeaveNothingBehind() async throws {
        let sharp = try await SharpModel(seed: 9)
        try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) {
            try await Self.generate(400, in: sharp.context(), prompt: sharp.prompt(1))
        }
    }

    @Test func generationStopsAtTheEndToken() async throws {
        let (policy, _) = try await RealModel.policy("Answer with the single word: blue.")
        let summary = try await Self.generate(policy, method: "greedy", length: 200)
        #expect(summary.finishReason == .stop)
        #expect(summary.tokens.count < 200)
        #expect(summary.usage.completionTokens == summary.tokens.count + 1)
        #expect(!summary.tokens.contains { policy.tokenizer.isEnd($0) })
        #expect(!summary.response.contains("<|"))
    }

    @Test func indirectWithTheSameRewardAndControlledDecodingAgreeWithDirect() async throws {
        let counts = try await SharpModelTests.inTwoLanes(70..<78) { seed in
            let sharp = try await SharpModel(seed: seed)
            let context = try await sharp.context(sequences: 128)
            return try await Self.compareIndirect(with: SmoothReward(seed: seed)) {
                try await sharp.policy($0, in: context)
            }
        }
        #expect(counts.reduce(0, +) > 3 * counts.count, "\(counts)")
    }

    /// On 32-bit weights of the tests' own: reading a rollout gives what writing it gave, up to the cache's 16 bits.
    @Test func continuationsAreReadAsTheyWereWritten() async throws {
        let folder = try TemporaryFolder()
        let file = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: file)
        let model = try await LlamaModel(path: file.path)
        let context = try await LlamaContext(model: model, configuration: .init(cells: 512, sequences: 32))
        let prompt = try model.prompt(continuing: "some text")
        let writer = try await LlamaPolicy(context: context, prompt: prompt)
        let reader = try await LlamaPolicy(context: context, prompt: prompt)
        let response = try await writer.propose(after: [], count: 3).map(\.token)
        let prefixes = try await writer.propose(after: response, count: 4).map { [$0.token] } + [[]]
        let rollouts = try await writer.rollOut(
            Self.request(response, prefixes, length: 6, count: 3, sampling: .ancestral))
        let written = zip(prefixes, rollouts).flatMap { prefix, branch in
            branch.map { (Continuation(prefix: prefix, tokens: $0.tokens), $0.logProbability) }
        }
        let read = try await reader.read(
            written.map(\.0) + [Continuation(prefix: [5], tokens: [])], after: response, wantsStates: false
        ).map(\.logProbability)
        for (value, (_, expected)) in zip(read, written) { #expect(abs(value - expected) < Self.tolerance) }
        // Read one token late, the same rollouts are worth something else: the check above can fail.
        let shifted = try await reader.read(
            written.map { Continuation(prefix: $0.0.prefix, tokens: Array($0.0.tokens.dropFirst())) },
            after: response, wantsStates: false
        ).map(\.logProbability)
        let errors = zip(shifted, written).map { abs($0 - $1.1) }
        #expect(errors.reduce(0, +) / Double(errors.count) > 10 * Self.tolerance)
        #expect(read.last == 0)
        // The reader keeps the candidates it decoded: the next step costs it nothing.
        let decoded = await reader.decodedTokens
        _ = try await reader.propose(after: response + prefixes[0], count: 1)
        #expect(await reader.decodedTokens == decoded)
    }

    /// Branches are kept to save work, so they must give way where room is short.
    @Test func branchesOfOnePolicyGiveWayToAnother() async throws {
        // In 32 bits: which cells a policy gets must not decide a near-tie.
        let model = try await RealModel.precise()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 256, sequences: 8, attention: .precise))
        let prompt = try model.prompt(for: [Message(role: "user", content: "Hi.")])
        let one = try await LlamaPolicy(context: context, prompt: prompt)
        let other = try await LlamaPolicy(context: context, prompt: prompt)
        let tokens = try await one.propose(after: [], count: 6).map { [$0.token] }
        let before = try await one.rollOut(Self.request([], tokens, length: 4))
        #expect(await context.leasedSequences == 8)
        let others = try await other.rollOut(Self.request([], tokens, length: 4))
        #expect(before.map { $0.map(\.tokens) } == others.map { $0.map(\.tokens) })
        // And the first goes on as if nothing had happened.
        let next = try await one.propose(after: tokens[0], count: 3)
        let fresh = try await LlamaPolicy(context: context, prompt: prompt)
        #expect(try await fresh.propose(after: tokens[0], count: 3).map(\.token) == next.map(\.token))
    }

    @Test func cancellationInterruptsARolloutAndLeavesThePolicyUsable() async throws {
        let (policy, context) = try await RealModel.policy("Describe a market.", sequences: 64, cells: 8192)
        let before = try await policy.propose(after: [], count: 60)
        let request = Self.request([], before.map { [$0.token] }, length: 100)
        let clock = ContinuousClock()
        let task = Task { try await policy.rollOut(request) }
        try await Task.sleep(for: .milliseconds(300))
        let start = clock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.now - start < .seconds(1))
        #expect(await context.leasedSequences == 1)
        let after = try await policy.propose(after: [], count: 60)
        #expect(before == after)
        let small = try await policy.rollOut(Self.request([], [[before[0].token]], length: 4))
        #expect(small[0][0].tokens.count > 0)
    }

    @Test func anotherResponseIsFollowedCorrectly() async throws {
        let (policy, context) = try await RealModel.policy("Count to five.")
        let tokenizer = policy.tokenizer
        let model = try await RealModel.load()
        let one = try model.prompt(continuing: "One, two, three, four, five.")
        let other = try model.prompt(continuing: "One, two, and then five.")
        for response in [one, other, Array(one.prefix(3)), [], one] {
            let got = try await policy.propose(after: response, count: 5)
            let fresh = try await LlamaPolicy(
                context: context, prompt: model.prompt(for: [Message(role: "user", content: "Count to five.")]))
            let expected = try await fresh.propose(after: response, count: 5)
            #expect(got[0].token == expected[0].token, "after \(tokenizer.text(of: response))")
            #expect(abs(got[0].logProbability - expected[0].logProbability) < Self.tolerance)
        }
    }

    @Test func requestsThatDoNotFitAreRefusedNotFatal() async throws {
        try await InferenceLane.$current.withValue(InferenceLane(threads: 1)) { try await Self.askForTooMuch() }
    }

    private static func askForTooMuch() async throws {
        let sharp = try await SharpModel(seed: 8)
        let small = try await sharp.context(cells: 256, sequences: 8)
        let policy = try await sharp.policy(1, in: small)
        let tokens = try await policy.propose(after: [], count: 12).map { [$0.token] }
            .filter { !policy.tokenizer.isEnd($0[0]) }
        // More rollouts than sequences, and than cells, go in waves.
        let roomy = try await sharp.policy(1, in: sharp.context(sequences: 16))
        for (count, length) in [(10, 4), (6, 60)] {
            let request = request([], Array(tokens.prefix(count)), length: length)
            let waves = try await policy.rollOut(request)
            #expect(waves.count == count)
            #expect(try await roomy.rollOut(request).map { $0.map(\.tokens) } == waves.map { $0.map(\.tokens) })
        }
        let many = try await policy.rollOut(
            request([], [tokens[0]], length: 3, count: 300, sampling: .ancestral))[0]
        #expect(many.count == 300 && Set(many.map(\.tokens)).count > 3)
        await #expect(throws: LlamaError.self) {
            try await policy.rollOut(request([], [tokens[0]], length: 10_000))
        }
        await #expect(throws: LlamaError.self) { try await policy.propose(after: [-1], count: 1) }
        await #expect(throws: LlamaError.self) { try await policy.propose(after: [1 << 30], count: 1) }
        await #expect(throws: LlamaError.self) { try await policy.logProbabilities(of: [1 << 30], after: []) }
        await #expect(throws: LlamaError.self) {
            try await policy.propose(after: [Token](repeating: 5, count: 300), count: 1)
        }
        await #expect(throws: LlamaError.promptTooLong(tokens: 9000, limit: 256)) {
            try await LlamaPolicy(context: small, prompt: [Token](repeating: 5, count: 9000))
        }
        await #expect(throws: LlamaError.emptyPrompt) { try await LlamaPolicy(context: small, prompt: []) }
        await #expect(throws: LlamaError.tooManySequences(needed: 257, limit: LlamaLibrary.maximumSequences)) {
            try await sharp.context(cells: 256, sequences: 257)
        }
        let model = try await RealModel.load()
        await #expect(throws: LlamaError.self) {
            try await LlamaContext(model: model, configuration: .init(cells: 1 << 23, sequences: 1))
        }
        // And after all that the policy still works.
        #expect(try await policy.rollOut(request([], [tokens[0]], length: 4))[0][0].tokens.count > 0)
    }
}
