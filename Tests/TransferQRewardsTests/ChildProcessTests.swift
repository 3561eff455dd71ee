import Foundation
import Testing
import TransferQ
import TransferQRewards

/// Programs that this one starts: none outlives its use, and none but them is ever signalled.
@Suite(.serialized) struct ChildProcessTests {
    /// What the system says of a process: its state, or nil when there is none.
    private func state(_ id: pid_t) -> String? {
        let output = Pipe()
        let process = Process()
        process.executableURL = URL(filePath: "/bin/ps")
        process.arguments = ["-o", "stat=", "-p", "\(id)"]
        process.standardOutput = output
        guard (try? process.run()) != nil else { return nil }
        let data = (try? output.fileHandleForReading.readToEnd()) ?? nil
        let text = String(decoding: data ?? Data(), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : text
    }

    private func waitUntil(_ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(10)) }
    }

    private func line(from child: ChildProcess) -> String {
        String(decoding: child.output?.availableData ?? Data(), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test func aStubbornProgramGoesWithAllThatItStarted() async throws {
        // Neither the shell nor its child heeds SIGTERM; the child tells its number.
        let child = try ChildProcess(
            "/bin/sh", ["-c", "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 60 & wait' & wait"], output: .pipe)
        let grandchild = try #require(pid_t(line(from: child)))
        #expect(child.isRunning && state(grandchild) != nil)
        let start = ContinuousClock.now
        let status = child.end()
        #expect(ContinuousClock.now - start < .seconds(1))
        #expect(status?.text == "\(SIGKILL) true")
        #expect(state(child.id) == nil)
        try await waitUntil { state(grandchild) == nil || state(grandchild)?.hasPrefix("Z") == true }
        #expect(state(grandchild).map { $0.hasPrefix("Z") } ?? true)
    }

    @Test func aProgramMayPutItsThingsAway() throws {
        let child = try ChildProcess(
            "/bin/sh", ["-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done"], output: .pipe)
        #expect(line(from: child) == "ready")
        #expect(child.end(grace: 5)?.text == "7 false")
        #expect(line(from: child) == "bye")
    }

    /// The number of a program that has ended stays its own until the last signal is sent, and gets none after that.
    @Test func aNumberIsNotGivenAwayBeforeTheLastSignal() async throws {
        let child = try ChildProcess("/bin/sh", ["-c", "exit 3"])
        try await waitUntil { !child.isRunning }
        #expect(state(child.id)?.hasPrefix("Z") == true)
        #expect(child.end()?.text == "3 false")
        #expect(state(child.id) == nil)
        #expect(!child.send(SIGKILL))
        #expect(child.end()?.text == "3 false")
    }

    @Test func aProgramEndsWithItsOwner() async throws {
        var child: ChildProcess? = try ChildProcess("/bin/sleep", ["60"])
        let id = try #require(child?.id)
        child = nil
        #expect(state(id) == nil)
    }

    @Test func aProgramThatIsNotThereIsNamed() {
        let error = #expect(throws: ChildProcess.StartFailure.self) { try ChildProcess("/nowhere/program", []) }
        #expect(error?.code == ENOENT)
    }

    /// SIGPIPE and SIGINT mean to a program what they mean to others.
    @Test func programsHaveTheDefaultSignals() throws {
        let child = try ChildProcess("/bin/sh", ["-c", "kill -PIPE $$; echo survived"], output: .pipe)
        #expect(line(from: child) == "")
        #expect(child.end(grace: 5)?.text == "\(SIGPIPE) true")
    }

    // MARK: Reward programs

    private func reward(_ body: String, timeout: Double = 20) throws -> CommandReward {
        let script = "import sys, json, time\nfor line in sys.stdin:\n    " + body.replacing("\n", with: "\n    ")
        return try CommandReward(command: "exec python3 -c '\(script)'", timeout: timeout)
    }

    private static let texts = [Completion(conversation: [], text: "one"), Completion(conversation: [], text: "two")]

    @Test func repliesHaveALimit() async throws {
        let endless = try reward("while True: sys.stdout.write(\"1\" * 65536)")
        let start = ContinuousClock.now
        let error = await #expect(throws: RewardError.self) { try await endless.checkedRewards(for: Self.texts) }
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(error?.description.contains("more than 16 MB without an end of line") == true)
    }

    /// A line that ended is an answer, even when the program goes on and on.
    @Test func theFirstLineIsTheAnswer() async throws {
        let talker = try reward("while True: sys.stdout.write(\"[1, 2]\\n\" * 10000)")
        let start = ContinuousClock.now
        let error = await #expect(throws: RewardError.self) { try await talker.checkedRewards(for: Self.texts) }
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(error?.description.contains("without being asked") == true, "\(error?.description ?? "")")
    }

    /// It answers before it has read the whole request; the rest of that must not be taken for the next one.
    @Test func earlyAnswersDoNotCutTheRequest() async throws {
        let script = """
            import sys, os, json
            line = b""
            while True:
                is_early = False
                while b"\\n" not in line:
                    line += os.read(0, 1000)
                    if len(line) > 900 and not is_early:
                        os.write(1, b"[3]\\n")
                        is_early = True
                line, rest = line.split(b"\\n", 1)
                assert json.loads(line)["completions"]
                if not is_early: os.write(1, b"[4]\\n")
                line = rest
            """
        let early = try CommandReward(command: "exec python3 -c '\(script)'", timeout: 20)
        let long = [Completion(conversation: [], text: String(repeating: "x", count: 300_000))]
        for _ in 0..<3 {
            #expect(try await early.checkedRewards(for: long) == [3])
            #expect(try await early.checkedRewards(for: [Self.texts[0]]) == [4])
        }
    }
}

extension ChildProcess.Status {
    fileprivate var text: String { "\(code) \(wasSignalled)" }
}
