import Foundation
import TransferQ

/// What answers that come one by one may take together.
public struct RuntimeCapacity: Hashable, Sendable {
    /// Answers at the same time.
    public let parallel: Int
    /// Longest prompt in tokens, and longest answer, that slots are made for; longer ones get slots of their own.
    public let promptTokens: Int
    public let answerTokens: Int
    /// Most answers that wait for a slot.
    public let longestLine: Int
    /// Sets of slots that are kept although nothing runs in them; the one that was used longest ago goes first.
    public let keptSets: Int
    /// Bytes that all sets of slots may take together, beside the weights of models: an answer that needs more than is left
    /// waits until another set is not used any more.
    public let memory: Int

    /// - Parameter memory: half of the machine's memory where nil.
    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` outside of parallel 1...32, lengths, sets and bytes from 1
    ///   on, and a line of at least 0.
    public init(
        parallel: Int = 4, promptTokens: Int = 1024, answerTokens: Int = 512, longestLine: Int = 256, keptSets: Int = 2,
        memory: Int? = nil
    ) throws {
        let memory = memory ?? Int(clamping: ProcessInfo.processInfo.physicalMemory / 2)
        guard (1...32).contains(parallel), promptTokens >= 1, answerTokens >= 1, longestLine >= 0, keptSets >= 1,
            memory >= 1
        else {
            throw RuntimeError.invalidSpecification(
                what: "capacity",
                reason: "parallel must be between 1 and 32, lengths, kept sets and bytes of memory at least 1, "
                    + "the line at least 0")
        }
        self.memory = memory
        self.parallel = parallel
        self.promptTokens = promptTokens
        self.answerTokens = answerTokens
        self.longestLine = longestLine
        self.keptSets = keptSets
    }
}

/// Slots for answers that come one by one: answers that need the same policies and the same room share a set of slots.
actor SlotPool {
    /// What answers of one set have in common.
    struct Key: Hashable {
        let models: String
        /// Without weights, which decide nothing of what slots are.
        let scoring: ScoringSpec
        /// Rounded up to powers of two, so that answers which differ a little share a set.
        let sequences: Int
        let tokensPerSequence: Int
        let promptTokens: Int
        let answerTokens: Int
        /// Exact searches and approximate ones fill batches differently.
        let isExact: Bool
    }

    private struct Entry {
        /// Kept before anything is awaited, so that a set is made once.
        let scheduler: Task<Scheduler, any Error>
        /// What the set takes, worked out ahead.
        let bytes: Int
        var lastUse: Int
        var users = 0
    }

    private let capacity: RuntimeCapacity
    private var entries: [Key: Entry] = [:]
    private var uses = 0
    /// Answers that wait for memory.
    private var roomless: [Int: CheckedContinuation<Void, any Error>] = [:]
    private var arrivals = 0

    init(capacity: RuntimeCapacity) { self.capacity = capacity }

    /// Sets that are there.
    var count: Int { entries.count }

    /// A slot for one answer, which goes back to its set with the last reference to the lease.
    func lease(
        for request: AnswerRequest, prompts: PromptTokens, of models: any LoadedModels, method: ConfiguredMethod,
        rewards: LoadedRewards
    ) async throws -> SlotLease {
        let key = key(request, prompts, models, method)
        let source = try await rewards.target?.stateSource(for: request.messages)
        let plan = SlotPlan(
            prompts: [prompts], longestPrompt: key.promptTokens, maximumLength: key.answerTokens, methods: [method],
            rewards: rewards, rewardSource: source, parallel: capacity.parallel)
        let bytes = entries[key] == nil ? try models.slotMemory(for: plan) : 0
        while entries[key] == nil, try !makeRoom(for: bytes) { try await waitForRoom() }
        let making = entries[key]?.scheduler ?? make(key, plan, models, bytes: bytes)
        begin(key)
        do {
            // Making contexts takes a moment, which a cancelled request waits out.
            let scheduler = try await making.value
            let slot = try await scheduler.take()
            return SlotLease(slot: slot) { [weak self] in
                Task {
                    await scheduler.giveBack(slot)
                    await self?.end(key)
                }
            }
        } catch {
            end(key)
            throw error
        }
    }

    private func make(
        _ key: Key, _ plan: SlotPlan, _ models: any LoadedModels, bytes: Int
    ) -> Task<Scheduler, any Error> {
        let longestLine = capacity.longestLine
        let making = Task {
            do {
                return Scheduler(slots: try await models.openSlots(for: plan), longestLine: longestLine)
            } catch {
                entries[key] = nil
                throw error
            }
        }
        entries[key] = Entry(scheduler: making, bytes: bytes, lastUse: uses)
        return making
    }

    // MARK: Memory

    /// Lets sets go that nobody uses, the one that was used longest ago first, until `bytes` more fit in.
    ///
    /// - Returns: whether they do.
    /// - Throws: ``RuntimeError/tooLittleMemory(needed:limit:)`` where they never will.
    private func makeRoom(for bytes: Int) throws -> Bool {
        guard bytes <= capacity.memory else {
            throw RuntimeError.tooLittleMemory(needed: bytes, limit: capacity.memory)
        }
        var idle = idleKeys
        while entries.values.reduce(bytes, { $0 + $1.bytes }) > capacity.memory {
            guard let oldest = idle.popLast() else { return false }
            entries[oldest] = nil
        }
        return true
    }

    /// Returns when a set has become idle.
    private func waitForRoom() async throws {
        guard roomless.count < max(1, capacity.longestLine) else {
            throw RuntimeError.lineFull(limit: capacity.longestLine)
        }
        arrivals += 1
        let number = arrivals
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            try await withCheckedThrowingContinuation { roomless[number] = $0 }
        } onCancel: {
            Task { await self.stopWaiting(number) }
        }
    }

    private func stopWaiting(_ number: Int) {
        roomless.removeValue(forKey: number)?.resume(throwing: CancellationError())
    }

    /// Sets that nobody uses, the one that was used last first.
    private var idleKeys: [Key] {
        entries.filter { $0.value.users == 0 }.sorted { $0.value.lastUse > $1.value.lastUse }.map(\.key)
    }

    private func begin(_ key: Key) {
        uses += 1
        entries[key]?.lastUse = uses
        entries[key]?.users += 1
    }

    /// Contexts take memory, so that sets which nobody uses go, but for the latest.
    private func end(_ key: Key) {
        entries[key]?.users -= 1
        for key in idleKeys.dropFirst(capacity.keptSets) { entries[key] = nil }
        // Each looks again whether there is room for it.
        for number in roomless.keys.sorted() { roomless.removeValue(forKey: number)?.resume() }
    }

    private func key(
        _ request: AnswerRequest, _ prompts: PromptTokens, _ models: any LoadedModels, _ method: ConfiguredMethod
    ) -> Key {
        func rounded(_ number: Int, atLeast least: Int) -> Int {
            var size = max(1, least)
            while size < number { size *= 2 }
            return size
        }
        let answer = rounded(request.limits.maximumTokens, atLeast: capacity.answerTokens)
        let demand = method.method.demand(maximumLength: answer)
        return Key(
            models: models.identity, scoring: request.scoring.unweighted,
            sequences: rounded(demand.sequences, atLeast: 1),
            tokensPerSequence: rounded(demand.tokensPerSequence, atLeast: 1),
            promptTokens: rounded(prompts.longest, atLeast: capacity.promptTokens), answerTokens: answer,
            isExact: method.method.approximations.isEmpty)
    }
}

/// A slot that is given back when nobody holds the lease any more.
final class SlotLease: Sendable {
    let slot: any AnswerSlot
    private let giveBack: @Sendable () -> Void

    init(slot: any AnswerSlot, giveBack: @escaping @Sendable () -> Void) {
        self.slot = slot
        self.giveBack = giveBack
    }

    deinit { giveBack() }
}
