import Foundation
import Testing
import TransferQ
import TransferQRewards

/// Rewards in other processes, well-behaved and not.
@Suite struct ExternalTests {
    private let scratch = Scratch()

    static let completions = ["please", "THANKS", "no"].map {
        Completion(conversation: [Message(role: "user", content: "Hi")], text: $0)
    }

    /// The folder of the repository.
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    // MARK: Programs

    /// A program of one line of Python a batch; `batch` holds the completions.
    private func program(_ body: String, timeout: Double = 30) throws -> CommandReward {
        let folder = try scratch.folder()
        let script = """
            import json, os, sys, time
            mark = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mark")
            for line in sys.stdin:
                batch = json.loads(line)["completions"]
                \(body.replacing("\n", with: "\n    "))
            """
        let file = folder.appending(path: "reward.py")
        try script.write(to: file, atomically: true, encoding: .utf8)
        return try CommandReward(command: "python3 '\(file.path)'", timeout: timeout)
    }

    @Test func exampleProgramScoresBatches() async throws {
        let script = Self.root.appending(path: "Examples/Rewards/command_reward.py").path
        let reward = try CommandReward(command: "python3 '\(script)'")
        let batch = try await reward.checkedRewards(for: Self.completions)
        #expect(batch == [1, 1 - 1, 0])
        for (completion, value) in zip(Self.completions, batch) {
            #expect(try await reward.checkedRewards(for: [completion]) == [value])
        }
    }

    @Test func batchesTakeTurns() async throws {
        let reward = try program("print(json.dumps([len(item['response']) for item in batch]), flush=True)")
        let all = try await withThrowingTaskGroup(of: (Int, [Double]).self) { group in
            for size in 1...20 {
                let texts = (0..<size).map {
                    Completion(conversation: [], text: String(repeating: "x", count: $0 + size))
                }
                group.addTask { (size, try await reward.checkedRewards(for: texts)) }
            }
            return try await group.reduce(into: [Int: [Double]]()) { $0[$1.0] = $1.1 }
        }
        for size in 1...20 { #expect(all[size] == (0..<size).map { Double($0 + size) }) }
    }

    @Test func largeBatchesBlockNeitherSide() async throws {
        let reward = try program(
            "print('[' + ', '.join(str(len(item['response'])) + '.' + '0' * 999 for item in batch) + ']', flush=True)")
        let texts = (0..<300).map { Completion(conversation: [], text: String(repeating: "y", count: 2000 + $0)) }
        #expect(try await reward.checkedRewards(for: texts) == (0..<300).map { Double(2000 + $0) })
    }

    @Test func aProgramThatDiesIsStartedOnceMore() async throws {
        let reward = try program(
            """
            if not os.path.exists(mark):
                open(mark, "w").close()
                os._exit(3)
            print(json.dumps([1.0] * len(batch)), flush=True)
            """)
        #expect(try await reward.checkedRewards(for: Self.completions) == [1, 1, 1])
    }

    @Test func aProgramThatKeepsDyingIsNamed() async throws {
        let reward = try program("os._exit(3)")
        let error = await #expect(throws: RewardError.self) { try await reward.checkedRewards(for: Self.completions) }
        #expect(error?.description.contains("ended with status 3, twice") == true)
    }

    @Test(arguments: [
        ("print('nonsense', flush=True)", "no JSON"), ("print(flush=True)", "answered nothing"),
        ("print('{\"a\": 1}', flush=True)", "form that is not known"),
        ("print('[[1, 2], [1, 2], [1, 2]]', flush=True)", "2 numbers for each text"),
        ("print('[\"x\", 1, 2]', flush=True)", "form that is not known"),
    ])
    func nonsenseIsNamed(body: String, complaint: String) async throws {
        let reward = try program(body)
        let error = await #expect(throws: RewardError.self) { try await reward.checkedRewards(for: Self.completions) }
        #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
        #expect(error?.description.hasPrefix("the reward command:") == true)
    }

    @Test(arguments: [
        ("NaN", "returned nan"), ("Infinity", "returned inf"), ("-Infinity", "returned -inf"), ("null", "returned nan"),
    ])
    func numbersThatAreNoneAreRefused(number: String, complaint: String) async throws {
        let reward = try program("print('{\"rewards\": [1, \(number), 2]}', flush=True)")
        let error = await #expect(throws: TransferQError.self) {
            try await reward.checkedRewards(for: Self.completions)
        }
        #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("THANKS") == true)
    }

    @Test func aWrongCountIsRefused() async throws {
        let reward = try program("print('[1, 2]', flush=True)")
        let error = await #expect(throws: TransferQError.self) {
            try await reward.checkedRewards(for: Self.completions)
        }
        #expect(error?.description.contains("2 values for 3 completions") == true)
    }

    /// A line for each completion is one line too many for two: none of them may become the next batch's answer.
    @Test func leftoversBelongToNoBatch() async throws {
        let reward = try program(
            "for item in batch: print(json.dumps([float(len(item['response']))]), flush=True)")
        await #expect(throws: (any Error).self) { try await reward.checkedRewards(for: Self.completions) }
        #expect(try await reward.checkedRewards(for: [Completion(conversation: [], text: "12345")]) == [5])
        let talker = try program("print('[1]\\n', flush=True); print('more', flush=True)")
        let one = [Self.completions[0]]
        await #expect(throws: RewardError.self) {
            // Whether the rest comes with the answer or behind it is the pipe's affair.
            for _ in 0..<3 {
                _ = try await talker.checkedRewards(for: one)
                try await Task.sleep(for: .milliseconds(200))
            }
        }
    }

    @Test func commandsAreTheShells() async throws {
        let folder = FileManager.default.temporaryDirectory
        let reward = try CommandReward(
            command: "cd '\(folder.path)' && WORTH=3 python3 -c 'import os, sys\nfor line in sys.stdin: "
                + "print([float(os.environ[\"WORTH\"])], flush=True)'")
        #expect(try await reward.checkedRewards(for: [Self.completions[0]]) == [3])
    }

    /// It closes its output, but does not go.
    @Test func programsThatFallSilentAreEnded() async throws {
        let reward = try program("os.close(1); time.sleep(60)", timeout: 3)
        let start = ContinuousClock.now
        await #expect(throws: RewardError.self) { try await reward.checkedRewards(for: Self.completions) }
        #expect(ContinuousClock.now - start < .seconds(15))
    }

    @Test func lateAnswersAreNotWaitedFor() async throws {
        let reward = try program(
            """
            if batch[0]["response"] == "slow": time.sleep(60)
            print(json.dumps([2.0] * len(batch)), flush=True)
            """, timeout: 1)
        let slow = [Completion(conversation: [], text: "slow")]
        let start = ContinuousClock.now
        let error = await #expect(throws: RewardError.self) { try await reward.checkedRewards(for: slow) }
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(error?.description.contains("within 1.0 s") == true)
        // The next batch gets a fresh program, and no answer that belongs to another.
        #expect(try await reward.checkedRewards(for: Self.completions) == [2, 2, 2])
    }

    @Test func cancellingDoesNotWaitForTheProgram() async throws {
        let reward = try program("time.sleep(60)")
        let task = Task { try await reward.checkedRewards(for: Self.completions) }
        try await Task.sleep(for: .milliseconds(300))
        let start = ContinuousClock.now
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    /// The program answers with its number, so that one that was started anew is seen.
    @Test func givingUpWhileOthersAreServedLeavesTheProgramAlone() async throws {
        let reward = try program("time.sleep(2); print(json.dumps([os.getpid() for item in batch]), flush=True)")
        let number = try await reward.checkedRewards(for: Self.completions)
        let served = Task { try await reward.checkedRewards(for: Self.completions) }
        try await Task.sleep(for: .milliseconds(200))
        let waiting = Task { try await reward.checkedRewards(for: Self.completions) }
        try await Task.sleep(for: .milliseconds(100))
        waiting.cancel()
        #expect(try await served.value == number)
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try await reward.checkedRewards(for: Self.completions) == number)
    }

    @Test func missingProgramsAreNamed() async throws {
        let reward = try CommandReward(command: "/nowhere/program 2>/dev/null")
        await #expect(throws: RewardError.self) { try await reward.checkedRewards(for: Self.completions) }
        #expect(throws: TransferQError.self) { try CommandReward(command: "  ") }
    }

    // MARK: Servers

    /// A Python server of a test, ended with its owner.
    private final class Server: Sendable {
        private let process: Process
        let port: Int

        init(_ script: String, _ arguments: [String] = []) throws {
            process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            process.arguments = ["python3", script] + arguments
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            var line = Data()
            while !line.contains(UInt8(ascii: "\n")) {
                guard let part = try output.fileHandleForReading.read(upToCount: 1), !part.isEmpty else { break }
                line += part
            }
            port = Int(String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        }

        deinit { kill(process.processIdentifier, SIGKILL) }

        func reward(_ path: String, timeout: Double = 30) throws -> HTTPReward {
            try HTTPReward(address: "http://127.0.0.1:\(port)\(path)", timeout: timeout, pauses: [0.01, 0.05])
        }
    }

    private func testServer() throws -> Server {
        try Server(URL(filePath: #filePath).deletingLastPathComponent().appending(path: "server.py").path)
    }

    @Test func exampleServerScoresBatches() async throws {
        let server = try Server(Self.root.appending(path: "Examples/Rewards/http_reward.py").path, ["0"])
        #expect(try await server.reward("/reward").checkedRewards(for: Self.completions) == [1, 0, 0])
    }

    /// Lengths of the responses, or of the dialogues for servers that take texts.
    @Test(arguments: [
        "/reward", "/array", "/score#form=rewards", "/shaky", "/classify#class=1", "/pooling?model=m",
        "/predict#class=1",
    ])
    func formsOfServersAreUnderstood(path: String) async throws {
        let server = try testServer()
        let isText = ["/classify", "/pooling", "/predict"].contains { path.hasPrefix($0) }
        let lengths = Self.completions.map { completion in
            Double((isText ? "\n\nHuman: Hi\n\nAssistant: " : "").count + completion.text.count)
        }
        let reward = try server.reward(path)
        #expect(try await reward.checkedRewards(for: Self.completions) == lengths)
    }

    @Test(arguments: [
        ("/broken", "status 503, 3 times"), ("/missing", "status 404"), ("/garbage", "form that is not known"),
        ("/classify", "2 numbers for each text"), ("/classify#class=9", "no class 9"),
    ])
    func serversThatFailAreNamed(path: String, complaint: String) async throws {
        let server = try testServer()
        let reward = try server.reward(path)
        let error = await #expect(throws: RewardError.self) { try await reward.checkedRewards(for: Self.completions) }
        #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
    }

    @Test func wrongNumbersOfServersAreRefused() async throws {
        let server = try testServer()
        let (few, none) = (try server.reward("/few"), try server.reward("/nan"))
        await #expect(throws: TransferQError.self) { try await few.checkedRewards(for: Self.completions) }
        await #expect(throws: TransferQError.self) { try await none.checkedRewards(for: Self.completions) }
    }

    @Test func lateServersAndAbsentOnesAreNamed() async throws {
        let server = try testServer()
        let late = try server.reward("/late", timeout: 0.5)
        let error = await #expect(throws: RewardError.self) { try await late.checkedRewards(for: Self.completions) }
        #expect(error?.description.contains("within 0.5 s") == true, "\(error?.description ?? "")")
        let absent = try HTTPReward(address: "http://127.0.0.1:9/reward", pauses: [0.01])
        let other = await #expect(throws: RewardError.self) { try await absent.checkedRewards(for: Self.completions) }
        #expect(other?.description.contains("could not be reached") == true, "\(other?.description ?? "")")
    }

    @Test(arguments: ["http:", "http://", "http:///path", "http://host/x#label=good"])
    func badAddressesAreRefused(address: String) {
        #expect(throws: TransferQError.self) { try HTTPReward(address: address) }
    }
}
