import TransferQ

/// Decides which answers run at the same time.
///
/// A list of answers that is known from the beginning goes through ``run(_:in:keepsLate:work:deliver:)``: which answers share
/// batches follows from the list alone, so that the same list gives the same answers. Answers that come one by one go
/// through ``withSlot(_:)``: an answer joins while others run as soon as a slot is free, the first come first; the line of
/// those that wait has an end, and whoever is cancelled leaves it at once.
public actor Scheduler {
    private struct Waiting {
        let number: Int
        let continuation: CheckedContinuation<any AnswerSlot, any Error>
    }

    /// Most answers that wait.
    public let longestLine: Int
    private var free: [any AnswerSlot]
    private var line: [Waiting] = []
    private var arrivals = 0
    /// Answers that have a slot.
    public private(set) var running = 0

    /// Answers that wait for a slot.
    public var waiting: Int { line.count }

    public init(slots: SlotSet, longestLine: Int = 256) {
        free = slots.slots.reversed()
        self.longestLine = max(0, longestLine)
    }

    // MARK: Answers that come one by one

    /// Runs work in the first slot that is free.
    ///
    /// - Throws: ``RuntimeError/lineFull(limit:)``, `CancellationError`, or what `work` throws.
    public nonisolated func withSlot<Result: Sendable>(
        _ work: @Sendable (any AnswerSlot) async throws -> Result
    ) async throws -> Result {
        let slot = try await take()
        do {
            let result = try await work(slot)
            await giveBack(slot)
            return result
        } catch {
            await giveBack(slot)
            throw error
        }
    }

    /// A slot, which must be given back.
    func take() async throws -> any AnswerSlot {
        try Task.checkCancellation()
        if line.isEmpty, let slot = free.popLast() {
            running += 1
            return slot
        }
        guard line.count < longestLine else { throw RuntimeError.lineFull(limit: longestLine) }
        arrivals += 1
        let number = arrivals
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // A cancellation that came before this found nobody in the line.
                if Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
                line.append(Waiting(number: number, continuation: continuation))
            }
        } onCancel: {
            Task { await self.leave(number) }
        }
    }

    func giveBack(_ slot: any AnswerSlot) {
        guard !line.isEmpty else {
            running -= 1
            free.append(slot)
            return
        }
        line.removeFirst().continuation.resume(returning: slot)
    }

    private func leave(_ number: Int) {
        // It may have got its slot just now; then its work is cancelled.
        guard let place = line.firstIndex(where: { $0.number == number }) else { return }
        line.remove(at: place).continuation.resume(throwing: CancellationError())
    }

    // MARK: Lists

    /// Runs work on so many items, and delivers what they come to in their order.
    ///
    /// Item i runs in group i modulo the number of groups. In a group, answers end in an order that follows from their work
    /// alone, and whichever ends makes room for the group's next item.
    ///
    /// - Parameters:
    ///   - keepsLate: whether, when something goes wrong, what waits for an earlier item is delivered all the same.
    ///   - work: gets the number of an item.
    /// - Throws: what went wrong first.
    public static func run<Value: Sendable>(
        _ count: Int, in slots: SlotSet, keepsLate: Bool = false,
        work: @escaping @Sendable (Int, any AnswerSlot) async throws -> Value, deliver: (Value) throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (item: Int, place: Place, value: Value).self) { tasks in
            let groups = slots.groups
            var waiting = groups.indices.map { stride(from: $0, to: count, by: groups.count).makeIterator() }
            var done: [Int: Value] = [:]
            var next = 0
            func start(at place: Place) async {
                let slot = groups[place.group][place.slot]
                guard let item = waiting[place.group].next() else { return await slot.leaveList() }
                tasks.addTask {
                    let value = try await slot.performListed { try await work(item, slot) }
                    return (item, place, value)
                }
            }
            for (group, slots) in groups.enumerated() {
                for slot in slots.indices { await start(at: Place(group: group, slot: slot)) }
            }
            do {
                while let (item, place, value) = try await tasks.next() {
                    await start(at: place)
                    done[item] = value
                    while let value = done.removeValue(forKey: next) {
                        try deliver(value)
                        next += 1
                    }
                }
            } catch {
                for (_, value) in keepsLate ? done.sorted(by: { $0.key < $1.key }) : [] { try deliver(value) }
                throw error
            }
        }
    }

    private struct Place: Sendable {
        let group: Int
        let slot: Int
    }
}
