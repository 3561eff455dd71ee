/// Answers that are worked on together in one lane, in lock step: what shares a batch follows from the work alone, never from
/// the clock.
///
/// One answer runs at a time, in a fixed order, until it waits for a batch in one of ``contexts``. When every answer waits, each
/// context that is waited for forms one batch; when all of these are computed, the answers that got their results go on, again
/// one after the other. However long a reward or a batch takes, the same answers decode the same batches in the same cells.
///
///     let rounds = AnswerRounds(members: 2, contexts: [context])
///     // In two tasks, number 0 and number 1:
///     try await rounds.run(number) { try await answer() }
///     await rounds.leave(number)
///
/// What an answer awaits while it runs must not depend on another answer of the same rounds.
public actor AnswerRounds {
    /// The answer that the current task works on; nil outside of rounds.
    @TaskLocal static var current: Member?

    /// An answer's place in its rounds.
    struct Member: Sendable {
        let rounds: AnswerRounds
        let number: Int
    }

    private enum State {
        /// Not there yet; nobody runs before all are.
        case absent
        /// Runs when its turn comes.
        case ready(resume: @Sendable () -> Void)
        case running
        /// Waits for a batch.
        case waiting
        case gone
    }

    /// Contexts whose batches the answers share.
    public let contexts: [LlamaContext]
    private nonisolated let thread: InferenceThread
    private var states: [State]
    /// Batches of this round that are not computed yet.
    private var underWay = 0

    /// - Parameters:
    ///   - members: answers worked on at the same time, ≥ 1, numbered from 0; everyone must come or leave.
    ///   - contexts: of one lane, in the order in which they compute.
    public init(members: Int, contexts: [LlamaContext]) async {
        states = [State](repeating: .absent, count: max(1, members))
        self.contexts = contexts
        thread = contexts.first?.thread ?? InferenceLane.current.thread
        for context in contexts { context.queue.rounds = self }
    }

    public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    /// Works on an answer in the place `number` when it is its turn. Afterwards the turn stays with the place, which must run
    /// another answer or leave; after an error it has left.
    public func run<Result: Sendable>(
        _ number: Int, _ work: @Sendable () async throws -> Result
    ) async throws -> Result {
        await enter(number)
        do {
            return try await Self.$current.withValue(Member(rounds: self, number: number), operation: work)
        } catch {
            leave(number)
            throw error
        }
    }

    /// There is no more work for the place `number`.
    public func leave(_ number: Int) {
        states[number] = .gone
        goOn()
    }

    private func enter(_ number: Int) async {
        guard case .absent = states[number] else { return }
        await withCheckedContinuation { continuation in
            states[number] = .ready { continuation.resume() }
            goOn()
        }
    }

    // MARK: For contexts

    /// The running member waits for a batch.
    func wait(_ member: Member) {
        states[member.number] = .waiting
        goOn()
    }

    /// A member has what it waited for, and is told so when its turn comes.
    func ready(_ member: Member, resume: @escaping @Sendable () -> Void) {
        states[member.number] = .ready(resume: resume)
    }

    /// A batch of this round is computed, or could not be.
    func finishBatch() {
        underWay -= 1
        goOn()
    }

    /// Whether any member may still form a batch.
    var isOver: Bool {
        states.allSatisfy { if case .gone = $0 { true } else { false } }
    }

    /// Lets the next one run, or has batches formed when all wait.
    private func goOn() {
        guard underWay == 0 else { return }
        var first: (number: Int, resume: @Sendable () -> Void)?
        for (number, state) in states.enumerated() {
            switch state {
            case .absent, .running: return
            case .ready(let resume): first = first ?? (number, resume)
            case .waiting, .gone: break
            }
        }
        if let first {
            states[first.number] = .running
            return first.resume()
        }
        let waited = contexts.map(\.queue).filter(\.isWaitedFor)
        underWay = waited.count
        for queue in waited { queue.decodeWhenIdle() }
    }
}
