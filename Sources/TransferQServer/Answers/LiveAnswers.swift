import Synchronization

/// The answers that are being made, from the moment they are asked for.
///
/// When the server is told to end, those that have not begun are refused, and those that have may go on for a while.
final class LiveAnswers: Sendable {
    private struct Answer {
        var hasBegun = false
        let cancel: @Sendable (AnswerEnd) -> Void
    }

    private struct State {
        var answers: [Int: Answer] = [:]
        var arrivals = 0
        var isDraining = false
    }

    private let state = Mutex(State())

    /// Answers without a slot, and answers that run.
    var counts: (waiting: Int, running: Int) {
        state.withLock { state in
            let running = state.answers.values.count(where: \.hasBegun)
            return (state.answers.count - running, running)
        }
    }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// - Parameter cancel: ends the answer at once.
    /// - Returns: its number.
    /// - Throws: ``AnswerEnd/shutdown`` once the server has been told to end.
    func add(cancel: @escaping @Sendable (AnswerEnd) -> Void) throws -> Int {
        try state.withLock { state in
            guard !state.isDraining else { throw AnswerEnd.shutdown }
            state.arrivals += 1
            state.answers[state.arrivals] = Answer(cancel: cancel)
            return state.arrivals
        }
    }

    /// An answer has its slot.
    func begin(_ number: Int) { state.withLock { $0.answers[number]?.hasBegun = true } }

    func remove(_ number: Int) { state.withLock { _ = $0.answers.removeValue(forKey: number) } }

    /// Refuses all answers that have not begun, and all that come from now on.
    func drain() {
        let waiting = state.withLock { state in
            state.isDraining = true
            return state.answers.values.filter { !$0.hasBegun }
        }
        for answer in waiting { answer.cancel(.shutdown) }
    }

    /// Ends what is still running.
    func stop() {
        drain()
        for answer in state.withLock({ Array($0.answers.values) }) { answer.cancel(.shutdown) }
    }
}

/// Why an answer ended before its end.
enum AnswerEnd: Error {
    case clientGone
    case shutdown
    /// Took longer than a request may.
    case timeLimit(seconds: Double)
}
