package import Foundation
import Synchronization

/// A program that this process started, together with all that it starts itself: its process group.
///
/// It does not outlive this process, unless that is killed with `kill -9`: ``end(grace:)`` ends it when nobody needs it any
/// more, ``endAll(grace:)`` when this process is told to end, whatever it is at.
///
/// Foundation's `Process` collects a child that has ended at a time of its own, after which the system may give the number
/// away; a signal that is on its way then meets a stranger. Here a child is collected in ``end(grace:)`` alone, behind the
/// last signal: until then its number stays its own.
package final class ChildProcess: Sendable {
    /// What a standard stream is connected with.
    package enum Stream {
        /// This process's own stream.
        case inherited
        case null
        /// This process, which writes to ``ChildProcess/input`` or reads from ``ChildProcess/output``.
        case pipe
        case file(FileHandle)
    }

    /// How a program ended.
    package struct Status: Equatable, Sendable {
        /// Its exit code, or the signal that ended it.
        package let code: Int32
        package let wasSignalled: Bool
    }

    /// Why a program could not be started: an error number of the system.
    package struct StartFailure: Error, Equatable, CustomStringConvertible {
        package let code: Int32
        package var description: String { String(cString: strerror(code)) }
    }

    /// Its standard input, where that is a pipe.
    package let input: FileHandle?
    /// Its standard output, where that is a pipe.
    package let output: FileHandle?
    private let leader: ProcessLeader

    private struct Family {
        /// Children that were not collected yet.
        var members: [pid_t: ProcessLeader] = [:]
        var isClosed = false
        var isEndedAtExit = false
    }

    private static let family = Mutex(Family())

    /// Starts a program in a process group of its own, with the default handling of signals.
    ///
    /// - Parameters:
    ///   - executable: its path.
    ///   - environment: all of it; this process's own when nil.
    /// - Throws: ``StartFailure``.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String]? = nil, input: Stream = .null,
        output: Stream = .null, errors: Stream = .inherited
    ) throws {
        // A program that has closed its input is met where that is written to, not with a signal that ends this process.
        signal(SIGPIPE, SIG_IGN)
        let variables = environment ?? ProcessInfo.processInfo.environment
        // In one lock, so that whoever ends all children misses none that is just being started, and none gets the pipes of
        // another.
        (leader, self.input, self.output) = try Self.family.withLock { family in
            guard !family.isClosed else { throw StartFailure(code: ECANCELED) }
            var plan = try SpawnPlan()
            defer { plan.close() }
            let writing = try plan.connect(STDIN_FILENO, with: input)
            let reading = try plan.connect(STDOUT_FILENO, with: output)
            _ = try plan.connect(STDERR_FILENO, with: errors)
            let id = try plan.spawn([executable] + arguments, variables.map { "\($0)=\($1)" })
            let leader = ProcessLeader(id: id)
            family.members[id] = leader
            if !family.isEndedAtExit { atexit { ChildProcess.endAll() } }
            family.isEndedAtExit = true
            return (leader, writing, reading)
        }
    }

    deinit { end() }

    /// Its number in the system.
    package var id: pid_t { leader.id }

    /// Whether the program, not what it started, goes on.
    package var isRunning: Bool { !leader.hasEnded }

    /// Sends a signal to the program and all that it started.
    ///
    /// - Returns: false when it was collected already: then its number may be another's, and nothing is sent.
    @discardableResult
    package func send(_ signal: Int32) -> Bool { leader.send(signal) }

    /// Ends the program and all that it started: asks with SIGTERM, and kills what is left after `grace` seconds. A program
    /// that ended by itself is collected only.
    ///
    /// - Returns: how the program ended; nil when the system does not let go of it within a second.
    @discardableResult
    package func end(grace: Double = 0.2) -> Status? {
        let status = leader.end(grace: grace)
        if status != nil { Self.family.withLock { _ = $0.members.removeValue(forKey: leader.id) } }
        return status
    }

    /// Ends all children of this process, which can start no others from then on.
    package static func endAll(grace: Double = 0.2) {
        let members = family.withLock { family in
            family.isClosed = true
            defer { family.members = [:] }
            return Array(family.members.values)
        }
        // All are asked before any is waited for.
        for leader in members { leader.send(SIGTERM) }
        for leader in members { leader.end(grace: grace) }
    }
}

/// The first process of a group, until it is collected.
final class ProcessLeader: Sendable {
    let id: pid_t
    /// nil until it is collected.
    private let status = Mutex<ChildProcess.Status?>(nil)

    init(id: pid_t) { self.id = id }

    var hasEnded: Bool { status.withLock { $0 != nil || Self.isDead(id) } }

    /// Sends a signal to the group.
    ///
    /// - Returns: false when the process was collected already: then its number may be another's, and nothing is sent.
    @discardableResult
    func send(_ signal: Int32) -> Bool {
        status.withLock { status in
            guard status == nil else { return false }
            kill(-id, signal)
            return true
        }
    }

    @discardableResult
    func end(grace: Double) -> ChildProcess.Status? {
        status.withLock { status in
            guard status == nil else { return status }
            if !Self.isDead(id) {
                kill(-id, SIGTERM)
                Self.wait(grace) { Self.isDead(id) }
            }
            // What the leader left behind goes as well: the group has the leader's number as long as that is not collected.
            kill(-id, SIGKILL)
            var value: Int32 = 0
            var isCollected = false
            Self.wait(1) {
                let result = waitpid(id, &value, WNOHANG)
                isCollected = result == id || (result < 0 && errno == ECHILD)
                return isCollected
            }
            guard isCollected else { return nil }
            let signal = value & 0x7F
            status = .init(code: signal == 0 ? (value >> 8) & 0xFF : signal, wasSignalled: signal != 0)
            return status
        }
    }

    /// Whether a child has ended, which it stays to be collected.
    private static func isDead(_ id: pid_t) -> Bool {
        var info = siginfo_t()
        let code = waitid(P_PID, id_t(id), &info, WEXITED | WNOHANG | WNOWAIT)
        return code == 0 ? info.si_signo == SIGCHLD : errno == ECHILD
    }

    private static func wait(_ seconds: Double, for condition: () -> Bool) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var pause: UInt32 = 500
        while !condition(), ContinuousClock.now < deadline {
            usleep(pause)
            pause = min(10_000, pause * 2)
        }
    }
}
