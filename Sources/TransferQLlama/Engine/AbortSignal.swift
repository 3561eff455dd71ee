import Synchronization

/// One request's wish to stop, polled by llama.cpp between the operations of a graph.
final class AbortSignal: Sendable {
    private let raised = Atomic(false)

    var isRaised: Bool { raised.load(ordering: .relaxed) }

    func raise() { raised.store(true, ordering: .relaxed) }
}

/// What a context's abort callback looks at: the signals of the requests that share the batch under way. One that goes on
/// keeps the batch alive for all.
final class AbortSwitch: Sendable {
    private let signals = Mutex<[AbortSignal]>([])

    var isRaised: Bool { signals.withLock { signals in !signals.isEmpty && signals.allSatisfy { $0.isRaised } } }

    func listen(to signals: [AbortSignal]) { self.signals.withLock { $0 = signals } }
}
