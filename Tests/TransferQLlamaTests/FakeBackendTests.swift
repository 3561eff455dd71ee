import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// The queue, the cache and cancellation, on a backend that computes nothing and checks every call.
@Suite(.serialized) struct FakeBackendTests {
    private struct Setting {
        let model: SharpModel
        let backend: FakeBackend
        let context: LlamaContext

        init(cells: Int = 256, sequences: Int = 16, isStepped: Bool = false) async throws {
            model = try await SharpModel(seed: 0)
            backend = FakeBackend(model: model.model, cells: cells, sequences: sequences, isStepped: isStepped)
            context = await LlamaContext(model: model.model, backend: backend, batchSize: 64, sequences: sequences)
        }

        func policy(_ prompt: [Token], share: Int = .max) async throws -> LlamaPolicy {
            try await LlamaPolicy(context: context, prompt: prompt, share: share)
        }

        /// Returns when so many sequences are held: whoever leased one has asked for a call by then.
        func waitForSequences(_ count: Int) async {
            while await context.leasedSequences < count { await Task.yield() }
        }

        /// Returns when a policy has asked to decode so many tokens in all.
        func wait(for policy: LlamaPolicy, tokens: Int) async {
            while await policy.decodedTokens < tokens { await Task.yield() }
        }
    }

    // MARK: The cache

    /// Whatever is asked in whatever order, and whatever fails on the way: what a policy says is what its own tokens make.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func answersComeFromTheTokensThatWereAskedAbout(seed: UInt64) async throws {
        let setting = try await Setting(cells: seed % 3 == 0 ? 96 : 256, sequences: seed % 2 == 0 ? 6 : 16)
        let backend = setting.backend
        var policies = [try await setting.policy([5, 6, 7]), try await setting.policy([9, 10])]
        let prompts: [[Token]] = [[5, 6, 7], [9, 10]]
        var response: [Token] = []
        var failures = 0
        for question in 0..<150 {
            let noise = Noise(seed: seed).derived(question)
            func number(_ place: Int, below count: Int) -> Int { Int(noise.derived(place).uniform * Double(count)) }
            let which = number(0, below: 2)
            let (policy, prompt) = (policies[which], prompts[which])
            switch number(1, below: 10) {
            case 0...5: response = response.count > 12 ? [] : response + [Token(20 + number(2, below: 4))]
            case 6, 7: response = Array(response.prefix(number(2, below: response.count + 1)))
            case 8: response = (0..<number(2, below: 6)).map { Token(30 + $0) }
            default: break
            }
            let path = (0..<number(3, below: 4)).map { Token(20 + ($0 + question) % 4) }
            let mayFail = number(4, below: 8) == 0
            if mayFail { backend.fail(with: [[1, 2, -3][number(5, below: 3)] as Int32]) }
            do {
                try await Self.ask(number(6, below: 6), policy, backend, prompt, response, path, noise)
            } catch is LlamaError {
                failures += 1
                #expect(mayFail)
            } catch is CancellationError {
                failures += 1
                #expect(mayFail)
            }
            // A failure that nobody met yet.
            backend.forgetCodes()
            if question % 40 == 39 { policies[which] = try await setting.policy(prompt) }
        }
        #expect(failures > 3)
        #expect(backend.faults == [])
        // What was announced is decoded, or would wait for somebody's call.
        for policy in policies { _ = try await policy.propose(after: [], count: 1) }
        policies = []
        #expect(await setting.context.leasedSequences == 0)
        #expect(await setting.context.usedCells == 0)
        #expect(backend.usedCells == 0)
    }

    private static func ask(
        _ kind: Int, _ policy: LlamaPolicy, _ backend: FakeBackend, _ prompt: [Token], _ response: [Token],
        _ path: [Token], _ noise: Noise
    ) async throws {
        let before = prompt + response
        switch kind {
        case 0:
            let got = try await policy.propose(ProposalRequest(response: response, count: 3), along: path)
            for (ahead, candidates) in got.enumerated() {
                let logs = backend.logProbabilities(after: before + path.prefix(ahead))
                let best = logs.indices.sorted { logs[$0] > logs[$1] }.prefix(3)
                #expect(candidates.map(\.token) == best.map { Token($0) })
                for one in candidates { #expect(abs(one.logProbability - logs[Int(one.token)]) < 1e-6) }
            }
        case 1:
            let tokens: [[Token]] = (0...path.count).map { _ in [4, 20, 21] }
            let got = try await policy.logProbabilities(of: tokens, after: response, along: path)
            for (ahead, values) in got.enumerated() {
                let logs = backend.logProbabilities(after: before + path.prefix(ahead))
                for (token, value) in zip(tokens[ahead], values) { #expect(abs(value - logs[Int(token)]) < 1e-6) }
            }
        case 2, 3:
            let sampling = kind == 2 ? Sampling.greedy : .ancestral
            let prefixes: [[Token]] = [[], [20], [20, 21], [21], [22, 20, 23]]
            var request = RolloutRequest(
                response: response, prefixes: prefixes, count: 2, maximumLength: 4, sampling: sampling, noise: noise)
            request.wantsStates = noise.derived(7).uniform < 0.3
            for (prefix, rollouts) in zip(prefixes, try await policy.rollOut(request)) {
                #expect(rollouts.count == 2)
                for rollout in rollouts {
                    for (place, token) in rollout.tokens.enumerated() {
                        let logs = backend.logProbabilities(after: before + prefix + rollout.tokens.prefix(place))
                        if kind == 2 { #expect(logs[Int(token)] == logs.max()) }
                        #expect(abs(rollout.logProbabilities[place] - logs[Int(token)]) < 1e-6)
                    }
                    guard let state = rollout.state, rollout.finishReason == .length else { continue }
                    #expect(state.last == backend.states(after: before + prefix + rollout.tokens))
                }
            }
        case 4:
            let continuations = [[20], [20], [21, 22], []].map { Continuation(prefix: $0, tokens: path) }
            let readings = try await policy.read(continuations, after: response, wantsStates: path.count == 2)
            for (continuation, reading) in zip(continuations, readings) {
                var expected = 0.0
                for place in path.indices {
                    let logs = backend.logProbabilities(after: before + continuation.prefix + path.prefix(place))
                    expected += logs[Int(path[place])]
                }
                #expect(abs(reading.logProbability - expected) < 1e-6)
                if let state = reading.state {
                    #expect(state.last == backend.states(after: before + continuation.prefix + path))
                }
            }
        default: try await policy.prepare(after: response, along: path)
        }
    }

    // MARK: The queue

    /// Asks for the log-probability of a text each, all while a call is under way.
    private func texts(_ lengths: [Int], in setting: Setting) async throws -> [FakeBackend.Call] {
        let context = setting.context
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await context.logLoss(of: [3, 4]) }
            await setting.backend.waitForCall()
            // One after the other, so that their order is known.
            for (place, length) in lengths.enumerated() {
                group.addTask { _ = try await context.logLoss(of: (0..<length).map { Token(10 + $0) }) }
                await setting.waitForSequences(place + 2)
            }
            setting.backend.setStepped(false)
            setting.backend.step()
            try await group.waitForAll()
        }
        return setting.backend.calls
    }

    @Test func whatWaitsSharesTheNextCall() async throws {
        let setting = try await Setting(isStepped: true)
        let calls = try await texts([3, 4, 5, 6], in: setting)
        #expect(calls.map(\.rows.count) == [2, 18])
        #expect(setting.backend.faults == [])
        #expect(await setting.context.decodedBatches == 2)
        #expect(await setting.context.decodedTokens == 20)
        // Each in a sequence of its own, from its first position on.
        let sequences = Set(calls[1].rows.map(\.sequences))
        #expect(sequences.count == 4)
        for sequence in sequences {
            let positions = calls[1].rows.filter { $0.sequences == sequence }.map(\.position)
            #expect(positions == positions.indices.map { Int32($0) })
        }
    }

    @Test func callsThatManyShareStayNarrow() async throws {
        let setting = try await Setting(isStepped: true)
        // 56 tokens at most, the oldest first; a long text goes alone.
        let calls = try await texts([20, 20, 20, 60, 5], in: setting)
        #expect(calls.map(\.rows.count) == [2, 40, 20, 60, 5])
        #expect(setting.backend.faults == [])
    }

    @Test func whatDoesNotFitTogetherGoesApart() async throws {
        let setting = try await Setting(cells: 32, isStepped: true)
        let calls = try await texts([20, 20, 8], in: setting)
        #expect(calls.map(\.rows.count) == [2, 20, 28])
        #expect(setting.backend.faults == [] && setting.backend.usedCells <= 32)
    }

    @Test func longTextsGoInPieces() async throws {
        let setting = try await Setting()
        _ = try await setting.context.logLoss(of: (0..<150).map { Token(10 + $0 % 40) })
        #expect(setting.backend.calls.map(\.rows.count) == [64, 64, 22])
        #expect(setting.backend.faults == [])
    }

    // MARK: Cancellation

    @Test func aCancelledCallStopsUnlessAnotherGoesOn() async throws {
        let setting = try await Setting(isStepped: true)
        let backend = setting.backend
        let policies = [try await setting.policy([5, 6]), try await setting.policy([7, 8])]
        // Alone: the call is told to stop, and the policy is as before.
        let alone = Task { try await policies[0].propose(after: [20], count: 2) }
        await backend.waitForCall()
        #expect(!backend.graphSwitch.isRaised)
        alone.cancel()
        #expect(backend.graphSwitch.isRaised)
        backend.step()
        await #expect(throws: CancellationError.self) { try await alone.value }
        // While the first call is under way two wait, and share the next.
        let first = Task { try await policies[0].propose(after: [20], count: 2) }
        await backend.waitForCall()
        let second = Task { try await setting.context.logLoss(of: [10, 11, 12]) }
        let third = Task { try await policies[1].propose(after: [21], count: 2) }
        await setting.waitForSequences(3)
        await setting.wait(for: policies[1], tokens: 3)
        backend.step()
        let candidates = try await first.value
        await backend.waitForCall()
        #expect(backend.calls.last?.rows.count == 6)
        third.cancel()
        #expect(!backend.graphSwitch.isRaised, "the other one goes on")
        backend.setStepped(false)
        backend.step()
        #expect(try await second.value > 0)
        await #expect(throws: CancellationError.self) { try await third.value }
        for (policy, prompt) in zip(policies, [[5, 6, 20], [7, 8, 20]] as [[Token]]) {
            let got = try await policy.propose(after: [20], count: 2)
            let logs = backend.logProbabilities(after: prompt)
            for one in got { #expect(abs(one.logProbability - logs[Int(one.token)]) < 1e-6) }
            if prompt[0] == 5 { #expect(got == candidates) }
        }
        #expect(backend.faults == [])
    }

    @Test func whoIsCancelledWhileWaitingDecodesNothing() async throws {
        let setting = try await Setting(isStepped: true)
        let policy = try await setting.policy([5, 6])
        let first = Task { try await setting.context.logLoss(of: [10, 11]) }
        await setting.backend.waitForCall()
        let waiting = Task { try await policy.propose(after: [], count: 1) }
        await setting.wait(for: policy, tokens: 2)
        waiting.cancel()
        setting.backend.setStepped(false)
        setting.backend.step()
        #expect(try await first.value > 0)
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(setting.backend.faults == [])
        #expect(await setting.context.usedCells == 0)
        #expect(await policy.decodedTokens == 2)
    }

    /// Generations that are cancelled anywhere leave a context that holds nothing and answers as before.
    @Test func cancelledAnswersLeaveNothingBehind() async throws {
        let setting = try await Setting(cells: 512, sequences: 32)
        let method = try DecodingMethods.make("transfer-q", ["k": 3, "horizon": 3, "alpha": 0.1]).method
        func answer(_ number: Int) async throws -> [Token] {
            let task = try await DecodingTask(
                reference: setting.policy([5, Token(number)], share: 4),
                baseline: setting.policy([6, Token(number)], share: 4), reward: SmoothReward(seed: 1),
                maximumLength: 8, seed: 1)
            return try await Answer(task, method).tokens
        }
        var whole: [[Token]] = []
        for number in 0..<4 { whole.append(try await answer(10 + number)) }
        for round in 0..<40 {
            let tasks = (0..<4).map { number in Task { try await answer(10 + number) } }
            for _ in 0..<(round * 7) { await Task.yield() }
            tasks[round % 4].cancel()
            for (number, task) in tasks.enumerated() {
                do {
                    #expect(try await task.value == whole[number])
                } catch {
                    #expect(error is CancellationError && number == round % 4)
                }
            }
            #expect(await setting.context.leasedSequences == 0)
            #expect(await setting.context.usedCells == 0)
            #expect(setting.backend.usedCells == 0)
        }
        #expect(setting.backend.faults == [])
    }
}
