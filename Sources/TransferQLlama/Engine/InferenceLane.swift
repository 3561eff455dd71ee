import Foundation

/// A thread on which contexts compute, one call of llama.cpp after the other.
///
/// Contexts of one lane never compute at the same time, so that the threads of a call have the processors to themselves.
/// Several lanes with fewer threads each get more done than one with all of them, where there is work for all: the threads of
/// a call wait for each other at every operation, some thousand times in a batch.
public final class InferenceLane: Sendable {
    /// Where contexts compute that are made in this task; one lane for all unless it says otherwise.
    @TaskLocal public static var current = InferenceLane()

    /// Threads of a call, 1 to 1024; nil leaves it to the context. The same for good, as how a call is split among threads may
    /// move the last bits of its results.
    public let threads: Int?
    /// The contexts' executor, which goes with the last of them.
    let thread = InferenceThread()

    /// - Parameter threads: of a call; nil leaves it to the context.
    public init(threads: Int? = nil) { self.threads = threads.map(Self.possible) }

    /// Threads of a call in a context that is made in this task.
    static func threads(wanted: Int?) -> Int {
        current.threads ?? possible(wanted ?? ProcessInfo.processInfo.activeProcessorCount)
    }

    private static func possible(_ threads: Int) -> Int { min(1024, max(1, threads)) }
}
