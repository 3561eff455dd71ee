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
            context = LlamaContext(model: model.model, backend: backend, batchSize: 64, sequences: sequences)
        }

        func policy(_ prompt: [Token], rolloutLimit: Int = .max) async throws -> LlamaPolicy {
            try await LlamaPolicy(context: context, prompt: prompt, rolloutLimit: rolloutLimit)
        }

        /// Returns when so many jobs wait for the context's thread, which a call holds meanwhile.
        func waitForJobs(_ count: Int) async {
            while context.waitingJobs < count { await Task.yield() }
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
                let question = PolicyQuestion(
                    kind: PolicyQuestion.Kind.allCases[number(6, below: 6)], response: response, path: path,
                    noise: noise)
                #expect(try await question.mistakes(of: policy, prompt: prompt, on: backend) == [])
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
                await setting.waitForJobs(place + 1)
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
        await setting.waitForJobs(2)
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
        await setting.waitForJobs(1)
        waiting.cancel()
        setting.backend.setStepped(false)
        setting.backend.step()
        #expect(try await first.value > 0)
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(setting.backend.faults == [])
        #expect(await setting.context.usedCells == 0)
        #expect(await policy.decodedTokens == 0)
    }

    /// Generations that are cancelled anywhere leave a context that holds nothing and answers as before.
    @Test func cancelledAnswersLeaveNothingBehind() async throws {
        let setting = try await Setting(cells: 512, sequences: 32)
        let method = try DecodingMethods.make("transfer-q", ["k": 3, "horizon": 3, "alpha": 0.1]).method
        func answer(_ number: Int) async throws -> [Token] {
            let task = try await DecodingTask(
                reference: setting.policy([5, Token(number)], rolloutLimit: 4),
                baseline: setting.policy([6, Token(number)], rolloutLimit: 4), reward: SmoothReward(seed: 1),
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
