import Synchronization

/// One request's wish to stop, polled by llama.cpp between the operations of a graph.
final class AbortSignal: Sendable {
    private let raised = Atomic(false)

    var isRaised: Bool { raised.load(ordering: .relaxed) }

    func raise() { raised.store(true, ordering: .relaxed) }
}

/// What a context's abort callback looks at: the signal of the request that decodes right now.
final class AbortSwitch: Sendable {
    private let signal = Mutex<AbortSignal?>(nil)

    var isRaised: Bool { signal.withLock { $0?.isRaised ?? false } }

    func listen(to signal: AbortSignal?) { self.signal.withLock { $0 = signal } }
}
