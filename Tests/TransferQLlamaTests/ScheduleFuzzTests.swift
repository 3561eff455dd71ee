import Synchronization
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// 10,000 random schedules of work for one context: several answers with policies of their own or shared, little room,
/// questions of all kinds, announced work, cancellation and release while a call is under way, calls that fail. Afterwards
/// every sequence and cell is back, no call was one that llama.cpp ends the process for, and every answer that came is what
/// its tokens alone come to. A schedule that never ends meets the time limit.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ScheduleFuzzTests {
    private static let perPart = 1000

    @Test(arguments: 0..<10) func randomSchedulesLeaveNothingBehind(part: Int) async throws {
        let sharp = try await SharpModel(seed: 0)
        var (failures, counts): ([String], Counts) = ([], Counts())
        for number in 0..<Self.perPart {
            let schedule = Schedule(seed: UInt64(part * Self.perPart + number), model: sharp.model)
            failures += try await schedule.run().map { "schedule \(schedule.seed): \($0)" }
            counts.add(schedule.counts)
        }
        #expect(failures.isEmpty, "\(failures.count): \(failures.prefix(5).joined(separator: "\n"))")
        // The schedules meet what they are for.
        #expect(counts.answered > 5 * Self.perPart)
        #expect(counts.cancelled > Self.perPart / 10)
        #expect(counts.full > Self.perPart / 10)
        #expect(counts.failed > Self.perPart / 10)
    }
}

/// How questions ended.
private struct Counts {
    var answered = 0
    var cancelled = 0
    /// For want of cells or sequences.
    var full = 0
    /// For a call that failed because the schedule has it so.
    var failed = 0

    mutating func add(_ other: Counts) {
        answered += other.answered
        cancelled += other.cancelled
        full += other.full
        failed += other.failed
    }
}

/// One schedule. All that is random derives from the seed; which of two threads comes first does not.
private final class Schedule: Sendable {
    private struct State {
        var policies: [LlamaPolicy?]
        var answers: [Task<Void, Never>?]
        var failures: [String] = []
        var counts = Counts()
    }

    /// What happens while a call is under way.
    private enum Event {
        case cancel(answer: Int)
        case release(policy: Int)
        case fail(Int32)
    }

    let seed: UInt64
    private let model: LlamaModel
    private let noise: Noise
    /// Whether answers run in rounds; none may wait for another there, so each has a policy of its own.
    private let isInRounds: Bool
    private let prompts: [[Token]]
    private let state: Mutex<State>

    init(seed: UInt64, model: LlamaModel) {
        self.seed = seed
        self.model = model
        let noise = Noise(seed: seed)
        self.noise = noise
        let answers = Self.number(noise, 2, in: 1...3)
        isInRounds = Self.number(noise, 3, in: 0...2) == 0
        prompts = (0..<(isInRounds ? answers : Self.number(noise, 0, in: 1...3))).map { which in
            (0..<Self.number(noise.derived(which), 1, in: 1...4)).map { Token(5 + 3 * which + $0) }
        }
        state = Mutex(
            State(policies: prompts.map { _ in nil }, answers: Array(repeating: nil, count: answers)))
    }

    var counts: Counts { state.withLock { $0.counts } }

    private static func number(_ noise: Noise, _ place: Int, in range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(noise.derived(place).uniform * Double(range.count))
    }

    private func number(_ place: Int, in range: ClosedRange<Int>) -> Int { Self.number(noise, place, in: range) }

    /// - Returns: a sentence for everything that is wrong.
    func run() async throws -> [String] {
        let (cells, sequences) = (number(10, in: 0...2) == 0 ? number(11, in: 12...30) : 160, number(12, in: 4...14))
        let events = events()
        // Weak, as an event would keep the backend that keeps it.
        let holder = Mutex<FakeBackend?>(nil)
        let backend = FakeBackend(model: model, cells: cells, sequences: sequences) { [self] call in
            for event in events[call] ?? [] {
                switch event {
                case .cancel(let answer): state.withLock { $0.answers[answer] }?.cancel()
                case .release(let policy):
                    let released = state.withLock { state in
                        defer { state.policies[policy] = nil }
                        return state.policies[policy]
                    }
                    withExtendedLifetime(released) {}
                case .fail(let code): holder.withLock { $0 }?.fail(with: [code])
                }
            }
        }
        holder.withLock { $0 = backend }
        defer { holder.withLock { $0 = nil } }
        let context = LlamaContext(
            model: model, backend: backend, batchSize: number(13, in: 4...64), sequences: sequences)
        try await answer(in: context, on: backend)
        state.withLock { $0.policies = $0.policies.map { _ in nil } }
        var failures = state.withLock { $0.failures } + backend.faults
        let (leased, used) = (await context.leasedSequences, await context.usedCells)
        if leased > 0 { failures.append("\(leased) sequences are still leased") }
        if used > 0 || backend.usedCells > 0 { failures.append("\(used) and \(backend.usedCells) cells are in use") }
        return failures
    }

    /// What happens, by the call that is under way.
    private func events() -> [Int: [Event]] {
        var events: [Int: [Event]] = [:]
        for index in 0..<number(20, in: 0...4) {
            let own = noise.derived(21).derived(index)
            let event: Event =
                switch Self.number(own, 0, in: 0...3) {
                case 0, 1: .cancel(answer: Self.number(own, 1, in: 0...state.withLock { $0.answers.count } - 1))
                case 2: .release(policy: Self.number(own, 1, in: 0...prompts.count - 1))
                default: .fail([1, 2, -3][Self.number(own, 1, in: 0...2)])
                }
            events[Self.number(own, 2, in: 0...12), default: []].append(event)
        }
        return events
    }

    /// Runs all answers at the same time, in rounds or as they come.
    private func answer(in context: LlamaContext, on backend: FakeBackend) async throws {
        let count = state.withLock { $0.answers.count }
        let rounds = isInRounds ? await AnswerRounds(members: count, contexts: [context]) : nil
        let isFast = number(31, in: 0...1) == 0
        for number in 0..<count {
            let task = Task {
                guard let rounds else { return await ask(number, in: context, on: backend) }
                // A cancelled answer leaves the rounds by itself.
                _ = try? await rounds.run(number) {
                    await ask(number, in: context, on: backend)
                    try Task.checkCancellation()
                }
                await rounds.leave(number)
            }
            state.withLock { $0.answers[number] = task }
            // Sometimes one is cancelled before it has begun.
            if self.number(32, in: 0...30) == number { task.cancel() }
            if !isFast { await Task.yield() }
        }
        for number in 0..<count { await state.withLock { $0.answers[number] }?.value }
        state.withLock { $0.answers = $0.answers.map { _ in nil } }
    }

    /// The questions of one answer, one after the other.
    private func ask(_ answer: Int, in context: LlamaContext, on backend: FakeBackend) async {
        let own = noise.derived(40).derived(answer)
        var response: [Token] = []
        for question in 0..<Self.number(own, 0, in: 2...8) {
            let noise = own.derived(1).derived(question)
            func number(_ place: Int, in range: ClosedRange<Int>) -> Int { Self.number(noise, place, in: range) }
            switch number(0, in: 0...9) {
            case 0...5: response = response.count > 8 ? [] : response + [Token(20 + number(1, in: 0...3))]
            case 6, 7: response = Array(response.prefix(number(1, in: 0...response.count)))
            case 8: response = (0..<number(1, in: 0...5)).map { Token(30 + $0) }
            default: break
            }
            let kinds = PolicyQuestion.Kind.allCases
            let asked = PolicyQuestion(
                kind: kinds[number(2, in: 0...kinds.count - 1)], response: response,
                path: (0..<number(3, in: 0...3)).map { Token(20 + ($0 + question) % 4) }, noise: noise)
            let which = isInRounds ? answer : (answer + (number(4, in: 0...3) == 0 ? 1 : 0)) % prompts.count
            do {
                let policy = try await policy(which, in: context)
                let mistakes = try await asked.mistakes(of: policy, prompt: prompts[which], on: backend)
                state.withLock { state in
                    state.counts.answered += 1
                    state.failures += mistakes
                }
            } catch {
                note(error, cells: backend.cells)
            }
        }
    }

    /// The policy of a prompt: another one after a release.
    private func policy(_ which: Int, in context: LlamaContext) async throws -> LlamaPolicy {
        if let policy = state.withLock({ $0.policies[which] }) { return policy }
        let policy = try await LlamaPolicy(
            context: context, prompt: prompts[which], rolloutLimit: number(50 + which, in: 1...9))
        state.withLock { $0.policies[which] = policy }
        return policy
    }

    private func note(_ error: any Error, cells: Int) {
        state.withLock { state in
            switch error {
            case is CancellationError: state.counts.cancelled += 1
            case LlamaError.contextFull, LlamaError.tooManySequences, LlamaError.promptTooLong: state.counts.full += 1
            case LlamaError.decodeFailed(code: -3, _): state.counts.failed += 1
            default: state.failures.append("\(error)")
            }
        }
    }
}
