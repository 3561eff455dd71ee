import Testing
import TransferQ
import TransferQRuntime

/// Which answers run at the same time, on slots that hold no model.
@Suite struct SchedulerTests {
    private struct FakeSlot: AnswerSlot {
        let number: Int
        var batchWidth: Int { 1 }

        func policies(for prompts: PromptTokens) async throws -> (reference: any Policy, baseline: (any Policy)?) {
            throw CancellationError()
        }

        nonisolated(nonsending) func perform<Result>(_ work: () async throws -> Result) async throws -> Result {
            try await work()
        }

        func performListed<Result: Sendable>(
            _ work: @escaping @Sendable () async throws -> Result
        ) async throws -> Result { try await work() }

        func leaveList() async {}
    }

    /// A gate that work waits at until it is opened.
    private actor Gate {
        private var isOpen = false
        private var waiting: [CheckedContinuation<Void, Never>] = []
        private(set) var arrived: [Int] = []

        func pass(_ number: Int) async {
            arrived.append(number)
            if isOpen { return }
            await withCheckedContinuation { waiting.append($0) }
        }

        func open() {
            isOpen = true
            for continuation in waiting { continuation.resume() }
            waiting = []
        }
    }

    private actor Log {
        private(set) var numbers: [Int] = []
        func add(_ number: Int) { numbers.append(number) }
    }

    private func slots(_ sizes: Int...) -> SlotSet {
        var number = 0
        return SlotSet(
            groups: sizes.map { size in
                (0..<size).map { _ in
                    number += 1
                    return FakeSlot(number: number) as any AnswerSlot
                }
            })
    }

    private func until(_ holds: @Sendable () async -> Bool) async throws {
        for _ in 0..<2000 {
            if await holds() { return }
            try await Task.sleep(for: .milliseconds(1))
        }
        Issue.record("it never came to that")
    }

    @Test func anAnswerJoinsAsSoonAsASlotIsFreeAndTheFirstComeFirst() async throws {
        let scheduler = Scheduler(slots: slots(2))
        let gates = (0..<6).map { _ in Gate() }
        let order = Log()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for number in gates.indices {
                tasks.addTask {
                    try await scheduler.withSlot { _ in
                        await order.add(number)
                        await gates[number].pass(number)
                    }
                }
                // In the line, or running, before the next one comes.
                try await until { await scheduler.waiting + scheduler.running == number + 1 }
            }
            let counts = await (scheduler.running, scheduler.waiting)
            #expect(counts == (2, 4))
            await gates[1].open()
            try await until { await order.numbers.count == 3 }
            #expect(await scheduler.running == 2)
            for gate in gates { await gate.open() }
            try await tasks.waitForAll()
        }
        #expect(await order.numbers.dropFirst(2) == [2, 3, 4, 5])
        let counts = await (scheduler.running, scheduler.waiting)
        #expect(counts == (0, 0))
    }

    @Test func theLineHasAnEnd() async throws {
        let scheduler = Scheduler(slots: slots(1), longestLine: 1)
        let gate = Gate()
        async let first: Void = scheduler.withSlot { _ in await gate.pass(0) }
        try await until { await scheduler.running == 1 }
        async let second: Void = scheduler.withSlot { _ in await gate.pass(1) }
        try await until { await scheduler.waiting == 1 }
        await #expect(throws: RuntimeError.lineFull(limit: 1)) { try await scheduler.withSlot { _ in } }
        await gate.open()
        _ = try await (first, second)
    }

    @Test func whoeverIsCancelledLeavesTheLineAtOnce() async throws {
        let scheduler = Scheduler(slots: slots(1))
        let gate = Gate()
        async let first: Void = scheduler.withSlot { _ in await gate.pass(0) }
        try await until { await scheduler.running == 1 }
        let second = Task { try await scheduler.withSlot { _ in } }
        try await until { await scheduler.waiting == 1 }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        let counts = await (scheduler.running, scheduler.waiting)
        #expect(counts == (1, 0))
        await gate.open()
        try await first
    }

    @Test func slotsComeBackWhateverHappens() async throws {
        struct Failure: Error {}
        let scheduler = Scheduler(slots: slots(2))
        let noise = Noise(seed: 5)
        await withTaskGroup(of: Void.self) { tasks in
            for number in 0..<500 {
                tasks.addTask {
                    let draw = noise.derived(number).uniform
                    let work = Task {
                        try await scheduler.withSlot { _ in
                            if draw < 0.3 { throw Failure() }
                            await Task.yield()
                        }
                    }
                    if draw > 0.7 { work.cancel() }
                    _ = try? await work.value  // how it ended does not matter here
                }
            }
        }
        try await until { await scheduler.running == 0 }
        #expect(await scheduler.waiting == 0)
        // Both slots are there.
        let gate = Gate()
        async let one: Void = scheduler.withSlot { _ in await gate.pass(1) }
        async let two: Void = scheduler.withSlot { _ in await gate.pass(2) }
        try await until { await gate.arrived.count == 2 }
        await gate.open()
        _ = try await (one, two)
    }

    @Test func aListIsDeliveredInItsOrderByTheSlotsThatItSays() async throws {
        var delivered: [Int] = []
        try await Scheduler.run(20, in: slots(2, 1)) { item, slot -> Int in
            try await Task.sleep(for: .microseconds(100 * (item * 7 % 11)))
            let number = (slot as? FakeSlot)?.number ?? 0
            #expect(item % 2 == 0 ? [1, 2].contains(number) : number == 3)
            return item
        } deliver: {
            delivered.append($0)
        }
        #expect(delivered == Array(0..<20))
    }

    @Test func whatIsDoneBehindAFailureIsKeptOnlyWhenAsked() async throws {
        struct Failure: Error {}
        for keepsLate in [false, true] {
            var delivered: [Int] = []
            let gate = Gate()
            await #expect(throws: Failure.self) {
                try await Scheduler.run(3, in: slots(3), keepsLate: keepsLate) { item, _ -> Int in
                    if item > 0 { return item }
                    try await Task.sleep(for: .milliseconds(50))
                    throw Failure()
                } deliver: {
                    delivered.append($0)
                }
            }
            await gate.open()
            #expect(delivered == (keepsLate ? [1, 2] : []))
        }
    }
}
