import Foundation
public import TransferQ

/// `command:COMMAND`: a program that lives beside this one, reads one JSON line a batch and writes one line back.
///
///     → {"completions": [{"conversation": [{"role": "user", "content": "…"}], "isFinished": false, "response": "…"}]}
///     ← {"rewards": [0.7]}
///
/// It is started at the first batch, through `sh`. When it dies, it is started once more and asked the same batch again;
/// when it dies again, takes too long, answers nonsense or more than 16 MB, the batch fails with a sentence, and the next
/// one starts it anew. Batches take turns. Its standard error is the user's.
///
/// It ends with this process, together with all that it started: it gets SIGTERM, and 0.2 s later SIGKILL.
public struct CommandReward: RewardModel {
    public let name: String
    private let child: RewardChild
    private let turn = Turn()
    private let watch: ConstantWatch

    /// - Parameters:
    ///   - timeout: seconds for one batch, > 0.
    ///   - warn: gets sentences about what looks wrong but is no error, each once.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` for an empty command.
    public init(
        command: String, timeout: Double = 60, warn: @escaping @Sendable (String) -> Void = RewardWarning.print
    ) throws {
        name = "command:\(command)"
        guard !command.allSatisfy(\.isWhitespace) else {
            throw TransferQError.rewardSpecification(
                specification: name, reason: "give a command, for example command:python3 reward.py")
        }
        child = RewardChild(command: command, timeout: timeout)
        watch = ConstantWatch(reward: name, warn: warn)
    }

    /// The words of the command that name files: the program, its script, its settings.
    ///
    /// What a program reads beside them nobody here can know.
    public var files: [String] {
        name.dropFirst("command:".count).split(whereSeparator: \.isWhitespace)
            .map { $0.trimmingCharacters(in: CharacterSet(charactersIn: "'\"")) }
            .filter(RegularFile.exists)
    }

    public var range: ClosedRange<Double>? { nil }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        let line = try RewardProtocol.encoded(RewardProtocol.Request(completions)) + Data("\n".utf8)
        // Who gives up while others have their turns leaves the program alone.
        try await turn.take()
        defer { turn.pass() }
        do {
            let reply = try await child.exchange(line)
            let rewards = try RewardProtocol.reply(reply, choice: nil).values
            // What else such a program may say belongs to no batch.
            if rewards.count != completions.count { await child.stop() }
            watch.note(rewards, of: completions)
            return rewards
        } catch let error as ReplyError {
            await child.stop()
            throw RewardError.failed(reward: name, reason: "\(error)")
        } catch let failure as RewardChild.Failure {
            throw RewardError.failed(reward: name, reason: failure.description)
        }
    }
}

/// The program of a ``CommandReward``, which asks it one batch at a time.
private actor RewardChild {
    enum Failure: Error, CustomStringConvertible {
        case cannotStart(String)
        case died(ChildProcess.Status?)
        case late(Double)
        case unasked(String)
        case tooLong

        var description: String {
            switch self {
            case .cannotStart(let reason): "could not be started (\(reason)); check the command"
            case .died(let status):
                "ended with \(status.map { ($0.wasSignalled ? "signal " : "status ") + "\($0.code)" } ?? "no status"), "
                    + "twice, before it answered; run the command by hand to see why"
            case .unasked(let text):
                "wrote \"\(text)\" without being asked; it must answer one line a batch, and nothing else"
            case .late(let seconds):
                "did not answer within \(seconds) s; make it faster, or give it longer with --reward-timeout"
            case .tooLong:
                "answered more than \(RewardProtocol.longestReply >> 20) MB without an end of line; "
                    + "it must answer one line of numbers a batch"
            }
        }
    }

    private let command: String
    private let timeout: Double
    private var running: ChildProcess?

    init(command: String, timeout: Double) {
        self.command = command
        self.timeout = timeout
    }

    /// Ends the program.
    @discardableResult
    func stop() -> ChildProcess.Status? {
        defer { running = nil }
        return running?.end()
    }

    /// Sends a line and waits for one.
    func exchange(_ line: Data) async throws -> Data {
        var status: ChildProcess.Status?
        for _ in 0..<2 {
            let child = try running ?? start()
            running = child
            do {
                return try await Self.converse(child, line: line, timeout: timeout)
            } catch is EndOfReply {
                // It has closed a pipe, which is not yet to have gone.
                try? child.input?.close()
                for _ in 0..<100 where child.isRunning { try await Task.sleep(for: .milliseconds(10)) }
                status = stop()
            } catch {
                stop()
                throw error
            }
        }
        throw Failure.died(status)
    }

    private func start() throws -> ChildProcess {
        let child: ChildProcess
        do { child = try ChildProcess("/bin/sh", ["-c", command], input: .pipe, output: .pipe) } catch {
            throw Failure.cannotStart("\(error)")
        }
        // Neither side may wait for the other without end.
        for handle in [child.input, child.output] {
            guard let descriptor = handle?.fileDescriptor else { continue }
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
        return child
    }

    private struct EndOfReply: Error {}

    /// Writes the line while reading, so that a program that answers early cannot block both; ends at the first newline,
    /// when all is written.
    private static func converse(_ child: ChildProcess, line: Data, timeout: Double) async throws -> Data {
        guard let input = child.input?.fileDescriptor, let output = child.output?.fileDescriptor else {
            throw EndOfReply()
        }
        var unsent = line[...]
        var reply = Data()
        var isComplete = false
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        // What stands in the pipe already is an answer to nothing.
        let early = read(output, &buffer, 256)
        try refuseUnasked(buffer[..<max(0, early)])
        let deadline = ContinuousClock.now + .seconds(timeout)
        var pause = 0.0005
        while true {
            try Task.checkCancellation()
            var isIdle = true
            if !unsent.isEmpty {
                let sent = unsent.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
                if sent > 0 {
                    unsent = unsent.dropFirst(sent)
                    isIdle = false
                } else if errno != EAGAIN && errno != EINTR {
                    throw EndOfReply()
                }
            }
            let received = read(output, &buffer, buffer.count)
            if received > 0 {
                isIdle = false
                let part = buffer[..<received]
                if isComplete { try refuseUnasked(part) }
                if let end = part.firstIndex(of: UInt8(ascii: "\n")) {
                    try refuseUnasked(part[(end + 1)...])
                    reply += part[..<end]
                    isComplete = true
                } else {
                    reply += part
                }
                guard reply.count <= RewardProtocol.longestReply else { throw Failure.tooLong }
            } else if received == 0 || (errno != EAGAIN && errno != EINTR) {
                throw EndOfReply()
            }
            if isComplete, unsent.isEmpty { return reply }
            guard ContinuousClock.now < deadline else { throw Failure.late(timeout) }
            guard isIdle else {
                pause = 0.0005
                continue
            }
            try await Task.sleep(for: .seconds(pause))
            pause = min(0.02, pause * 1.3)
        }
    }

    private static func refuseUnasked(_ bytes: ArraySlice<UInt8>) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.allSatisfy(\.isWhitespace) else {
            throw Failure.unasked(String(text.trimmingCharacters(in: .whitespacesAndNewlines).prefix(40)))
        }
    }
}
