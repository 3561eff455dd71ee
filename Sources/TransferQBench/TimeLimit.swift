import TransferQConsole

/// Ends measurements when their time is up, and notes what was left out.
struct TimeLimit {
    let end: ContinuousClock.Instant
    private(set) var leftOut: [String] = []

    init(seconds: Double) { end = .now + .seconds(seconds) }

    /// Runs work, or as much of it as there is time for.
    ///
    /// - Parameters:
    ///   - what: named where it is left out.
    ///   - work: ends soon after its task is cancelled.
    /// - Returns: nil where the time was up first.
    /// - Throws: what `work` throws; `CancellationError` when this task is cancelled.
    mutating func run<Value: Sendable>(
        _ what: String, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        let end = end
        let value = try await withThrowingTaskGroup(of: Value?.self) { tasks in
            if .now < end {
                Console.say(what)
                tasks.addTask { try await work() }
            }
            tasks.addTask {
                try await Task.sleep(until: end, clock: .continuous)
                return nil
            }
            defer { tasks.cancelAll() }
            return try await tasks.next() ?? nil
        }
        if value == nil { leftOut.append(what) }
        return value
    }
}
