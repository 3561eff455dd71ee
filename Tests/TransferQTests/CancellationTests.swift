import Dispatch
import Synchronization
import Testing
import TransferQ
import TransferQTheory

/// Whoever is cancelled stops waiting, whatever others do.
@Suite struct CancellationTests {
    // MARK: Turns

    @Test func aWaitForATurnEndsWhenItIsCancelled() async throws {
        let turn = Turn()
        try await turn.take()
        let waiting = Task { try await turn.take() }
        try await Task.sleep(for: .milliseconds(20))
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        // The turn is still the first one's, and then free.
        turn.pass()
        try await turn.take()
        turn.pass()
    }

    @Test func whoIsCancelledBeforehandGetsNoTurn() async throws {
        let turn = Turn()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            try await turn.take()
        }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        // It is free.
        try await turn.take()
        turn.pass()
    }

    /// Who has the turn, and who had it.
    private final class Served: Sendable {
        private let state = Mutex((order: [Int](), inside: 0, most: 0))

        func enter(_ number: Int) {
            state.withLock { state in
                state.order.append(number)
                state.inside += 1
                state.most = max(state.most, state.inside)
            }
        }

        func leave() { state.withLock { $0.inside -= 1 } }

        var order: [Int] { state.withLock { $0.order } }
        var most: Int { state.withLock { $0.most } }
    }

    /// Takers come in a known order, every third gives up, and the others get their turns in that order, one at a time.
    @Test func turnsGoInTheOrderOfComing() async throws {
        let turn = Turn()
        let served = Served()
        try await turn.take()
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<60 {
            tasks.append(
                Task {
                    try await turn.take()
                    defer { turn.pass() }
                    served.enter(number)
                    await Task.yield()
                    served.leave()
                })
            try await Task.sleep(for: .milliseconds(2))
        }
        for (number, task) in tasks.enumerated() where number % 3 == 0 { task.cancel() }
        for (number, task) in tasks.enumerated() where number % 3 == 0 {
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        turn.pass()
        for (number, task) in tasks.enumerated() where number % 3 != 0 { try await task.value }
        #expect(served.order == (0..<60).filter { $0 % 3 != 0 })
        #expect(served.most == 1)
    }

    /// Cancellations that come at the very time at which the turn does: it is never lost.
    @Test func noTurnIsLost() async throws {
        let turn = Turn()
        for _ in 0..<300 {
            let task = Task {
                try await turn.take()
                turn.pass()
            }
            let other = Task {
                try await turn.take()
                turn.pass()
            }
            task.cancel()
            // Either the turn or the cancellation was first.
            _ = try? await task.value
            try await other.value
            try await turn.take()
            turn.pass()
        }
    }

    // MARK: Rewards

    /// Goes on regardless of being cancelled, from a certain call on, until it is let go.
    private final class Stubborn: RewardModel {
        let name = "stubborn"
        let range: ClosedRange<Double>? = nil
        private let calls = Mutex(0)
        private let stubbornFrom: Int
        private let isFree = Atomic(false)

        init(from call: Int) { stubbornFrom = call }

        var count: Int { calls.withLock { $0 } }

        func letGo() { isFree.store(true, ordering: .relaxed) }

        func rewards(for completions: [Completion]) async throws -> [Double] {
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            while call >= stubbornFrom, !isFree.load(ordering: .relaxed) {
                await withCheckedContinuation { continuation in
                    DispatchQueue.global().asyncAfter(deadline: .now() + 0.01) { continuation.resume() }
                }
            }
            return completions.map { Double($0.tokens.count) }
        }
    }

    private func waitUntil(_ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func aRewardThatGoesOnIsNotWaitedFor() async throws {
        let reward = Stubborn(from: 1)
        defer { reward.letGo() }
        for wrapped in [reward as any RewardModel, ExclusiveReward(reward)] {
            let task = Task {
                try await wrapped.checkedRewards(
                    for: [Completion(conversation: [], text: "", tokens: [], isFinished: true)])
            }
            try await Task.sleep(for: .milliseconds(20))
            let start = ContinuousClock.now
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(ContinuousClock.now - start < .seconds(1))
        }
    }

    /// The answer so far is told without its reward when that is not to be had.
    @Test(arguments: [false, true])
    func aCancelledAnswerKeepsWhatThereIs(isExclusive: Bool) async throws {
        let stubborn = Stubborn(from: 4)
        defer { stubborn.letGo() }
        let reward: any RewardModel = isExclusive ? ExclusiveReward(stubborn) : stubborn
        let policy = TabularPolicy.random(vocabularySize: 4, maximumLength: 6, endToken: nil, seed: 3)
        let task = try DecodingTask(reference: policy, reward: reward, maximumLength: 6)
        let method = try DecodingMethods.make("transfer-q", ["horizon": 1, "k": 3]).method
        let answer = Task { () -> GenerationSummary? in
            var iterator = try Generation(task: task, method: method).makeAsyncIterator()
            do {
                while try await iterator.next() != nil {}
            } catch is CancellationError {
                return try await iterator.summary(.cancelled)
            }
            return nil
        }
        try await waitUntil { stubborn.count >= 4 }
        let start = ContinuousClock.now
        answer.cancel()
        let summary = try #require(try await answer.value)
        #expect(ContinuousClock.now - start < .seconds(1.5))
        #expect(summary.finishReason == .cancelled && !summary.tokens.isEmpty && summary.tokens.count < 6)
        #expect(summary.reward == nil)
    }

    @Test func aRewardThatIsToBeHadIsKept() async throws {
        let slow = Stubborn(from: 4)
        let policy = TabularPolicy.random(vocabularySize: 4, maximumLength: 6, endToken: nil, seed: 3)
        let task = try DecodingTask(reference: policy, reward: slow, maximumLength: 6)
        var iterator = try Generation(
            task: task, method: DecodingMethods.make("transfer-q", ["horizon": 1, "k": 3]).method
        )
        .makeAsyncIterator()
        _ = try await iterator.next()
        slow.letGo()
        let summary = try await iterator.summary(.cancelled)
        #expect(summary.reward == Double(summary.tokens.count))
    }

    // MARK: Constant rewards

    /// What rounding makes of equal numbers is no spread.
    @Test(
        arguments: [[0.1, 0.1, 0.1], [1e9, 1e9, 1e9 + 1e-7], [0.3, 0.1 + 0.2, 0.3], [0, 0, 0], [-2, -2]] as [[Double]])
    func aConstantRewardHasNoCalibration(rewards: [Double]) {
        let error = #expect(throws: TransferQError.self) { try RewardCalibration(of: rewards) }
        #expect(error?.description.contains("(all were \(rewards.min() ?? 0): check the reward") == true)
    }

    @Test(arguments: [[0.1, 0.2], [1e-100, 3e-100], [1e9, 1e9 + 1], [-1, 1], [0, 1e-9]] as [[Double]])
    func smallSpreadsOfSmallRewardsAreSpreads(rewards: [Double]) throws {
        let scale = try RewardCalibration(of: rewards)
        #expect(scale.spread > 0 && scale.count == rewards.count)
    }
}
