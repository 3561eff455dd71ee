import AsyncAlgorithms
import Synchronization
import TransferQ
import TransferQRuntime

/// The answers to one request, made in a task of their own and handed over event by event.
///
/// An event waits for its reader before the next step begins, so that a slow client costs no memory. ``cancel(_:)`` ends the work
/// within a step, whoever calls it: a connection that has closed, the server that ends, or the clock.
final class AnswerFeed: Sendable {
    struct Event: Sendable {
        /// The place of the choice.
        let choice: Int
        let event: AnswerEvent
    }

    private struct Work {
        var task: Task<Void, Never>?
        var end: AnswerEnd?
    }

    /// May be read by one reader at a time, in several iterators one after the other. Fails with ``AnswerEnd`` or with what
    /// went wrong.
    let events = AsyncThrowingChannel<Event, any Error>()
    private let work = Mutex(Work())

    /// Begins to make the answers, as many at a time as the server has slots.
    ///
    /// - Throws: ``AnswerEnd/shutdown``.
    init(_ plan: AnswerPlan, on server: ServerState) throws {
        let (live, metrics, limits) = (server.live, server.metrics, server.limits)
        let number = try live.add { [weak self] in self?.cancel($0) }
        let events = events
        let task = Task { [weak self] in
            defer { live.remove(number) }
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    var waiting = plan.requests.enumerated().makeIterator()
                    func start() {
                        guard let (choice, request) = waiting.next() else { return }
                        group.addTask {
                            try await Self.run(request, of: plan, as: choice, into: events, metrics: metrics) {
                                live.begin(number)
                            }
                        }
                    }
                    for _ in 0..<server.parallel { start() }
                    group.addTask {
                        try await Task.sleep(for: .seconds(limits.seconds))
                        throw AnswerEnd.timeLimit(seconds: limits.seconds)
                    }
                    for _ in plan.requests {
                        try await group.next()
                        start()
                    }
                    group.cancelAll()
                }
                events.finish()
            } catch {
                let end = self?.work.withLock { $0.end }
                if let end { metrics.cancelled(end) } else { metrics.failed(error) }
                events.fail(end ?? error)
            }
        }
        let end = work.withLock { work in
            work.task = task
            return work.end
        }
        // Somebody was faster.
        if end != nil { task.cancel() }
    }

    deinit { work.withLock { $0.task }?.cancel() }

    /// Ends the work at once; the first reason counts.
    func cancel(_ end: AnswerEnd) {
        let task = work.withLock { work in
            work.end = work.end ?? end
            return work.task
        }
        task?.cancel()
    }

    private static func run(
        _ request: AnswerRequest, of plan: AnswerPlan, as choice: Int,
        into events: AsyncThrowingChannel<Event, any Error>, metrics: Metrics, begun: () -> Void
    ) async throws {
        let clock = ContinuousClock()
        var (last, hasBegun, steps) = (clock.now, false, 0)
        for try await event in plan.preset.runtime.answer(request) {
            if !hasBegun {
                hasBegun = true
                begun()
            }
            switch event {
            case .step:
                // The first one reads the prompt, and may have waited for its slot.
                steps == 0 ? metrics.firstStep(after: clock.now - last) : metrics.step(clock.now - last)
                steps += 1
            case .finished(let summary): metrics.finished(summary)
            case .notice, .failure: break
            }
            await events.send(Event(choice: choice, event: event))
            last = clock.now
        }
        try Task.checkCancellation()
    }
}
