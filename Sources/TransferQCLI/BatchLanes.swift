import Foundation
import TransferQ
import TransferQLlama

/// Where the answers of a batch are worked on: lanes that compute side by side, each with its own contexts, threads and
/// prompts, all given out before the first one is answered.
///
/// Where rollouts make batches wide, lanes with a thread each get more out of a processor than one with all threads, which
/// wait for each other at every operation; narrow batches are better all in one lane.
struct BatchLanes: Sendable {
    struct Lane: Sendable {
        let lane: InferenceLane
        let workplace: Workplace
        /// Answers worked on at the same time, which share batches.
        let slots: Int
        /// What decides which tokens share a batch; nil for one slot.
        let rounds: AnswerRounds?
    }

    let lanes: [Lane]

    /// Whether some answers share batches.
    var sharesBatches: Bool { lanes.contains { $0.slots > 1 } }

    /// - Parameters:
    ///   - count: answers worked on at the same time, at most as many as there are prompts.
    ///   - workplace: makes one for so many answers at the same time, in the lane of the task.
    init(
        count: Int, for batch: Batch, hasValueHead: Bool, workplace: (_ slots: Int) async throws -> Workplace
    ) async throws {
        let threads = batch.models.threads ?? ProcessInfo.processInfo.activeProcessorCount
        let rollsOut = batch.method.method.demand(maximumLength: batch.answer.maxTokens).tokensPerSequence > 1
        let isWide = rollsOut && !hasValueHead && !LlamaLibrary.hasAccelerator
        let number = isWide ? min(count, threads) : 1
        // More in a lane lengthen what attention goes over, and the wait for the last; where a search leaves rollouts out,
        // it takes more to fill a batch. Measured: docs/benchmarks.
        let most = batch.method.method.approximations.isEmpty ? 2 : 4
        let count = isWide ? min(count, most * number) : count
        var lanes: [Lane] = []
        for index in 0..<number {
            let lane =
                number == 1
                ? InferenceLane.current : InferenceLane(threads: Self.part(index, of: threads, among: number))
            let slots = Self.part(index, of: count, among: number)
            let workplace = try await InferenceLane.$current.withValue(lane) { try await workplace(slots) }
            lanes.append(
                Lane(
                    lane: lane, workplace: workplace, slots: slots,
                    rounds: slots > 1 ? await AnswerRounds(members: slots, contexts: workplace.contexts) : nil))
        }
        self.lanes = lanes
    }

    /// What one of so many gets, when the first take what is left over.
    private static func part(_ index: Int, of total: Int, among number: Int) -> Int {
        total / number + (index < total % number ? 1 : 0)
    }

    /// Runs work on so many items and delivers what they come to in their order.
    ///
    /// Item i is worked on in lane i modulo the number of lanes. In a lane, the answers of an ``AnswerRounds`` end in an order
    /// that follows from the work alone, and whichever ends makes room for the lane's next item.
    ///
    /// - Parameters:
    ///   - keepsLate: whether, when something goes wrong, what waits for an earlier item is delivered all the same.
    ///   - work: gets the place of an item.
    func run<Value: Sendable>(
        _ count: Int, keepsLate: Bool, work: @escaping @Sendable (Int, Lane) async throws -> Value,
        deliver: (Value) throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (item: Int, slot: Slot, value: Value).self) { group in
            var waiting = lanes.indices.map { stride(from: $0, to: count, by: lanes.count).makeIterator() }
            var done: [Int: Value] = [:]
            var next = 0
            func start(at slot: Slot) async {
                let lane = lanes[slot.lane]
                guard let item = waiting[slot.lane].next() else {
                    await lane.rounds?.leave(slot.number)
                    return
                }
                group.addTask {
                    let value = try await InferenceLane.$current.withValue(lane.lane) {
                        guard let rounds = lane.rounds else { return try await work(item, lane) }
                        return try await rounds.run(slot.number) { try await work(item, lane) }
                    }
                    return (item, slot, value)
                }
            }
            for (index, lane) in lanes.enumerated() {
                for number in 0..<lane.slots { await start(at: Slot(lane: index, number: number)) }
            }
            do {
                while let (item, slot, value) = try await group.next() {
                    await start(at: slot)
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

    private struct Slot: Sendable {
        let lane: Int
        let number: Int
    }
}
