import Foundation

/// Work that blocks for long, such as reading gigabytes, on a thread of its own: neither the cooperative pool nor an inference
/// thread waits for it.
package enum BlockingWork {
    /// - Parameter work: gets a signal that is raised when the task is cancelled; it may look at it and throw
    ///   `CancellationError`.
    package static func run<Result: Sendable>(
        _ work: @escaping @Sendable (_ stops: AbortSignal) throws -> Result
    ) async throws -> Result {
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let thread = Thread { continuation.resume(with: Swift.Result { try work(signal) }) }
                thread.name = "transferq.blocking"
                thread.stackSize = 8 << 20
                thread.qualityOfService = .userInitiated
                thread.start()
            }
        } onCancel: {
            signal.raise()
        }
    }
}
