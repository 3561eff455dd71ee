import Synchronization

/// One request's wish to stop, polled by llama.cpp between the operations of a graph.
package final class AbortSignal: Sendable {
    private let raised = Atomic(false)

    package var isRaised: Bool { raised.load(ordering: .relaxed) }

    func raise() { raised.store(true, ordering: .relaxed) }
}

/// What a context's callbacks look at while a batch is under way.
package final class GraphSwitch: Sendable {
    private let signals = Mutex<[AbortSignal]>([])
    private let stops = Atomic(false)

    /// Whether to stop: all requests that share the batch wish it. One that goes on keeps the batch alive for all.
    package var isRaised: Bool {
        signals.withLock { signals in !signals.isEmpty && signals.allSatisfy { $0.isRaised } }
    }

    package init() {}

    func listen(to signals: [AbortSignal]) { self.signals.withLock { $0 = signals } }

    /// Whether the work is done when the final hidden states are there.
    var stopsAtStates: Bool {
        get { stops.load(ordering: .relaxed) }
        set { stops.store(newValue, ordering: .relaxed) }
    }
}
