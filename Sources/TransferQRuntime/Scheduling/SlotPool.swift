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

    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` outside of parallel 1...32, lengths from 1 on, a line of at
    ///   least 0, and at least one set.
    public init(
        parallel: Int = 4, promptTokens: Int = 1024, answerTokens: Int = 512, longestLine: Int = 256, keptSets: Int = 2
    ) throws {
        guard (1...32).contains(parallel), promptTokens >= 1, answerTokens >= 1, longestLine >= 0, keptSets >= 1 else {
            throw RuntimeError.invalidSpecification(
                what: "capacity",
                reason: "parallel must be between 1 and 32, lengths and kept sets at least 1, the line at least 0")
        }
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
        let model: String
        let baseline: BaselineSpec?
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
        var lastUse: Int
        var users = 0
    }

    private let capacity: RuntimeCapacity
    private var entries: [Key: Entry] = [:]
    private var uses = 0

    init(capacity: RuntimeCapacity) { self.capacity = capacity }

    /// Sets that are there.
    var count: Int { entries.count }

    /// A slot for one answer, which goes back to its set with the last reference to the lease.
    func lease(
        for request: AnswerRequest, prompts: PromptTokens, of models: LlamaModels, method: ConfiguredMethod,
        rewards: LoadedRewards
    ) async throws -> SlotLease {
        let key = key(request, prompts, models, method)
        let source = try await rewards.target?.stateSource(for: request.messages)
        let making = entries[key]?.scheduler ?? make(key, prompts, models, method, rewards, rewardSource: source)
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
        _ key: Key, _ prompts: PromptTokens, _ models: LlamaModels, _ method: ConfiguredMethod,
        _ rewards: LoadedRewards, rewardSource: StateSource?
    ) -> Task<Scheduler, any Error> {
        let plan = SlotPlan(
            prompts: [prompts], longestPrompt: key.promptTokens, maximumLength: key.answerTokens, methods: [method],
            rewards: rewards, rewardSource: rewardSource, parallel: capacity.parallel)
        let longestLine = capacity.longestLine
        let making = Task {
            do {
                return Scheduler(slots: try await models.openSlots(for: plan), longestLine: longestLine)
            } catch {
                entries[key] = nil
                throw error
            }
        }
        entries[key] = Entry(scheduler: making, lastUse: uses)
        return making
    }

    private func begin(_ key: Key) {
        uses += 1
        entries[key]?.lastUse = uses
        entries[key]?.users += 1
    }

    /// Contexts take memory, so that sets which nobody uses go, but for the latest.
    private func end(_ key: Key) {
        entries[key]?.users -= 1
        let idle = entries.filter { $0.value.users == 0 }.sorted { $0.value.lastUse > $1.value.lastUse }
        for (key, _) in idle.dropFirst(capacity.keptSets) { entries[key] = nil }
    }

    private func key(
        _ request: AnswerRequest, _ prompts: PromptTokens, _ models: LlamaModels, _ method: ConfiguredMethod
    ) -> Key {
        func rounded(_ number: Int, atLeast least: Int) -> Int {
            var size = max(1, least)
            while size < number { size *= 2 }
            return size
        }
        let answer = rounded(request.limits.maximumTokens, atLeast: capacity.answerTokens)
        let demand = method.method.demand(maximumLength: answer)
        return Key(
            model: models.path, baseline: models.baseline, scoring: request.scoring,
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
