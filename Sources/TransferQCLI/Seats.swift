import Foundation
import TransferQ
import TransferQLlama

/// What an answer of a batch is worked on with.
struct Seat: Sendable {
    let lane: InferenceLane
    let workplace: Workplace
    let rewards: Rewards
}

/// One seat for each answer that is worked on at the same time.
///
/// Answers of one lane share its batches. Where rollouts make them wide, lanes with a thread each get more out of a processor
/// than one with all threads, which wait for each other at every operation; narrow ones are better all in one.
struct Seats {
    /// Those that work is done at.
    private(set) var seats: [Seat]
    /// Of all lanes together.
    private let threads: Int

    /// - Parameter workplace: makes one for so many answers at the same time, in the lane of the task.
    init(
        count: Int, for batch: Batch, _ rewards: Rewards, workplace: (_ parallel: Int) async throws -> Workplace
    ) async throws {
        threads = batch.models.threads ?? ProcessInfo.processInfo.activeProcessorCount
        let rollsOut = batch.method.method.demand(maximumLength: batch.answer.maxTokens).tokensPerSequence > 1
        let isWide = rollsOut && rewards.value == nil && !LlamaLibrary.hasAccelerator
        let lanes = isWide ? min(count, threads) : 1
        // More in a lane lengthen what attention goes over, and the wait for the last; where a search leaves rollouts out,
        // it takes more to fill a batch. Measured: README.
        let most = batch.method.method.approximations.isEmpty ? 2 : 4
        let count = isWide ? min(count, most * lanes) : count
        var seats: [(order: Int, seat: Seat)] = []
        for number in 0..<lanes {
            let own = Self.share(number, of: threads, among: lanes)
            let lane = lanes == 1 ? InferenceLane.current : InferenceLane(threads: own)
            let share = (count - number + lanes - 1) / lanes
            let seat = Seat(
                lane: lane,
                workplace: try await InferenceLane.$current.withValue(lane) { try await workplace(share) },
                rewards: share > 1 ? rewards.exclusive() : rewards)
            seats += (0..<share).map { ($0, seat) }
        }
        // Prompts that follow each other go to different lanes.
        self.seats = seats.sorted { $0.order < $1.order }.map(\.seat)
    }

    /// There is no more work for a seat. When its lane has none left, the others get its threads.
    mutating func leave(_ seat: Seat) {
        guard let place = seats.firstIndex(where: { $0.lane === seat.lane }) else { return }
        seats.remove(at: place)
        if seats.contains(where: { $0.lane === seat.lane }) { return }
        let lanes = Dictionary(seats.map { (ObjectIdentifier($0.lane), $0.lane) }) { first, _ in first }.values
        for (number, lane) in lanes.enumerated() {
            lane.threads = Self.share(number, of: threads, among: lanes.count)
        }
    }

    /// What one of so many gets, when the first take what is left over.
    private static func share(_ number: Int, of threads: Int, among lanes: Int) -> Int {
        threads / lanes + (number < threads % lanes ? 1 : 0)
    }
}

/// Runs work on items, one at each seat at a time, and delivers what they come to in the order of the items.
///
/// - Parameters:
///   - sizes: about how much work each item is. Of the last ones the largest are begun first, so that all seats are done at
///     about the same time.
///   - keepsLate: whether, when something goes wrong, what waits for an earlier item is delivered all the same.
///   - work: gets the place of an item.
func inOrder<Value: Sendable>(
    sizes: [Int], seats: inout Seats, keepsLate: Bool,
    work: @escaping @Sendable (Int, Seat) async throws -> Value,
    deliver: (Value) throws -> Void
) async throws {
    let last = sizes.indices.suffix(seats.seats.count)
    let order = sizes.indices.prefix(last.startIndex) + last.sorted { (sizes[$1], $0) < (sizes[$0], $1) }
    try await withThrowingTaskGroup(of: (Int, Seat, Value).self) { group in
        var waiting = order.makeIterator()
        var done: [Int: Value] = [:]
        var next = 0
        func start(at seat: Seat) {
            guard let index = waiting.next() else { return seats.leave(seat) }
            group.addTask { (index, seat, try await work(index, seat)) }
        }
        for seat in seats.seats { start(at: seat) }
        do {
            while let (index, seat, value) = try await group.next() {
                done[index] = value
                while let value = done.removeValue(forKey: next) {
                    try deliver(value)
                    next += 1
                }
                start(at: seat)
            }
        } catch {
            for (_, value) in keepsLate ? done.sorted(by: { $0.key < $1.key }) : [] { try deliver(value) }
            throw error
        }
    }
}
