/// Values that take long to make, each made once, however many ask for it at the same time.
///
/// Of values with a limit, the one that was asked for longest ago goes when another comes.
///
/// Whoever is cancelled stops waiting at once; the making stops when nobody waits any more. What fails is tried again by the next
/// one who asks.
package actor LoadOnce<Value: Sendable> {
    private struct Load {
        /// Tells it from one of the same key that was given up.
        let number: Int
        let task: Task<Void, Never>
        var waiting: [Int: CheckedContinuation<Value, any Error>] = [:]
    }

    private let limit: Int
    private var values: [String: Value] = [:]
    /// Keys of values, the one that was asked for last at the end; kept where there is a limit.
    private var order: [String] = []
    private var loads: [String: Load] = [:]
    private var requests = 0

    /// - Parameter limit: most values that are kept, ≥ 1; all of them where nil.
    package init(limit: Int? = nil) { self.limit = max(1, limit ?? .max) }

    /// Values that are kept.
    package var count: Int { values.count }

    /// The value of a key.
    ///
    /// - Parameter make: called where there is none yet, and nobody makes it.
    /// - Throws: what `make` throws, or `CancellationError`.
    package func value(_ key: String, make: @escaping @Sendable () async throws -> Value) async throws -> Value {
        if let value = values[key] {
            touch(key)
            return value
        }
        requests += 1
        let request = requests
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                var load =
                    loads[key]
                    ?? Load(number: request, task: Task { self.finish(key, request, await Self.outcome(of: make)) })
                load.waiting[request] = continuation
                loads[key] = load
            }
        } onCancel: {
            Task { await self.cancel(request, key) }
        }
    }

    private static func outcome(
        of make: @Sendable () async throws -> Value
    ) async -> Result<Value, any Error> {
        do { return .success(try await make()) } catch { return .failure(error) }
    }

    private func finish(_ key: String, _ number: Int, _ outcome: Result<Value, any Error>) {
        guard let load = loads[key], load.number == number else { return }
        if case .success(let value) = outcome {
            values[key] = value
            touch(key)
            if values.count > limit { values[order.removeFirst()] = nil }
        }
        loads[key] = nil
        for continuation in load.waiting.values { continuation.resume(with: outcome) }
    }

    private func touch(_ key: String) {
        guard limit < .max else { return }
        order.removeAll { $0 == key }
        order.append(key)
    }

    private func cancel(_ request: Int, _ key: String) {
        guard let continuation = loads[key]?.waiting.removeValue(forKey: request) else { return }
        continuation.resume(throwing: CancellationError())
        guard let load = loads[key], load.waiting.isEmpty else { return }
        load.task.cancel()
        loads[key] = nil
    }
}
