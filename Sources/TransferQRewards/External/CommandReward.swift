import Foundation
public import TransferQ

/// `command:COMMAND`: a program that lives beside this one, reads one JSON line a batch and writes one line back.
///
///     → {"completions": [{"conversation": [{"role": "user", "content": "…"}], "isFinished": false, "response": "…"}]}
///     ← {"rewards": [0.7]}
///
/// It is started at the first batch, through `sh`. When it dies, it is started once more and asked the same batch again;
/// when it dies again, takes too long or answers nonsense, the batch fails with a sentence, and the next one starts it
/// anew. Batches take turns. Its standard error is the user's.
public struct CommandReward: RewardModel {
    public let name: String
    private let child: RewardChild
    private let turn = Turn()

    /// - Parameters:
    ///   - timeout: seconds for one batch, > 0.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` for an empty command.
    public init(command: String, timeout: Double = 60) throws {
        name = "command:\(command)"
        guard !command.allSatisfy(\.isWhitespace) else {
            throw TransferQError.rewardSpecification(
                specification: name, reason: "give a command, for example command:python3 reward.py")
        }
        child = RewardChild(command: command, timeout: timeout)
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
        try await turn.take()
        defer { turn.pass() }
        // Who gave up while others had their turns leaves the program alone.
        try Task.checkCancellation()
        do {
            let reply = try await child.exchange(line)
            let rewards = try RewardProtocol.rewards(in: reply, choice: nil)
            // What else such a program may say belongs to no batch.
            if rewards.count != completions.count { await child.stop() }
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
        case died(Int32)
        case late(Double)
        case unasked(String)

        var description: String {
            switch self {
            case .cannotStart(let reason): "could not be started (\(reason)); check the command"
            case .died(let status):
                "ended with status \(status), twice, before it answered; run the command by hand to see why"
            case .unasked(let text):
                "wrote \"\(text)\" without being asked; it must answer one line a batch, and nothing else"
            case .late(let seconds):
                "did not answer within \(seconds) s; make it faster, or give it longer with --reward-timeout"
            }
        }
    }

    private struct Running {
        let process: Process
        let input: FileHandle
        let output: FileHandle
    }

    private let command: String
    private let timeout: Double
    private var running: Running?

    init(command: String, timeout: Double) {
        self.command = command
        self.timeout = timeout
        // A program that has gone is met where its pipe is written to, not with a signal that ends this process.
        signal(SIGPIPE, SIG_IGN)
    }

    deinit { if let running { Self.end(running.process) } }

    func stop() {
        guard let running else { return }
        Self.end(running.process)
        running.process.waitUntilExit()
        self.running = nil
    }

    /// Ends the program with all that it started, as far as they share a process group of their own.
    private static func end(_ process: Process) {
        let id = process.processIdentifier
        kill(getpgid(id) == id ? -id : id, SIGKILL)
    }

    /// Sends a line and waits for one.
    func exchange(_ line: Data) async throws -> Data {
        var status: Int32 = 0
        for _ in 0..<2 {
            let child = try running ?? start()
            running = child
            do {
                return try await Self.converse(child.input, child.output, line: line, timeout: timeout)
            } catch is EndOfReply {
                // It has closed a pipe, which is not yet to have gone.
                try? child.input.close()
                for _ in 0..<100 where child.process.isRunning { try await Task.sleep(for: .milliseconds(10)) }
                stop()
                status = child.process.terminationStatus
            } catch {
                stop()
                throw error
            }
        }
        throw Failure.died(status)
    }

    private func start() throws -> Running {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        do { try process.run() } catch { throw Failure.cannotStart(error.localizedDescription) }
        // Neither side may wait for the other without end.
        for handle in [input.fileHandleForWriting, output.fileHandleForReading] {
            _ = fcntl(handle.fileDescriptor, F_SETFL, fcntl(handle.fileDescriptor, F_GETFL) | O_NONBLOCK)
        }
        return Running(process: process, input: input.fileHandleForWriting, output: output.fileHandleForReading)
    }

    private struct EndOfReply: Error {}

    /// Writes the line while reading, so that a program that answers early cannot block both; ends at a newline.
    private static func converse(
        _ input: FileHandle, _ output: FileHandle, line: Data, timeout: Double
    ) async throws -> Data {
        var unsent = line[...]
        var reply = Data()
        // What stands in the pipe already is an answer to nothing.
        var early = [UInt8](repeating: 0, count: 256)
        let waiting = read(output.fileDescriptor, &early, early.count)
        if waiting > 0 {
            let text = String(decoding: early.prefix(waiting), as: UTF8.self)
            guard text.allSatisfy(\.isWhitespace) else { throw Failure.unasked(String(text.prefix(40))) }
        }
        let deadline = ContinuousClock.now + .seconds(timeout)
        var pause = 0.0005
        while true {
            try Task.checkCancellation()
            var isIdle = true
            if !unsent.isEmpty {
                let sent = unsent.withUnsafeBytes { write(input.fileDescriptor, $0.baseAddress, $0.count) }
                if sent > 0 {
                    unsent = unsent.dropFirst(sent)
                    isIdle = false
                } else if errno != EAGAIN && errno != EINTR {
                    throw EndOfReply()
                }
            }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let received = read(output.fileDescriptor, &buffer, buffer.count)
            if received > 0 {
                reply += buffer.prefix(received)
                isIdle = false
                if reply.last == UInt8(ascii: "\n") { return reply }
            } else if received == 0 || (errno != EAGAIN && errno != EINTR) {
                throw EndOfReply()
            }
            guard ContinuousClock.now < deadline else { throw Failure.late(timeout) }
            guard isIdle else {
                pause = 0.0005
                continue
            }
            try await Task.sleep(for: .seconds(pause))
            pause = min(0.02, pause * 1.3)
        }
    }
}
