import Foundation
import TestSupport
import Testing

/// What becomes of the program, its answer and its children when it is told to end.
@Suite(.serialized) struct InterruptionTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
    }

    /// A reward program that never answers and heeds neither SIGTERM nor the end of its input, and has a child of the
    /// same kind. Its number goes into a file.
    private func stubbornProgram(answersFirst: Int = 0) throws -> String {
        let script = """
            import json, os, signal, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if os.fork() == 0:
                time.sleep(600)
            for _ in range(\(answersFirst)):
                batch = json.loads(sys.stdin.readline())["completions"]
                print(json.dumps([1.0 + len(item["response"]) for item in batch]), flush=True)
            with open("ready", "w") as file:
                file.write("now")
            while True:
                time.sleep(1)
            """
        try script.write(to: folder.file("hang.py"), atomically: true, encoding: .utf8)
        return "command:echo $$ >> numbers; exec python3 hang.py"
    }

    private func waitForFile(_ name: String) {
        for _ in 0..<1000 where !FileManager.default.fileExists(atPath: folder.file(name).path) {
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    private func run(
        _ arguments: [String], signals: [Int32], apart: Double = 0
    ) throws -> (run: ProgramRun, seconds: Double) {
        var sent = ContinuousClock.now
        let run = try ProgramRun.run(
            arguments, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url
        ) { process in
            waitForFile("ready")
            sent = .now
            for signal in signals {
                kill(process.processIdentifier, signal)
                Thread.sleep(forTimeInterval: apart)
            }
        }
        return (run, (ContinuousClock.now - sent) / .seconds(1))
    }

    /// Groups of hang.py of this test's folder in which something still runs; what only waits to be collected does not.
    private func survivors() throws -> [String] {
        let numbers = try String(contentsOf: folder.file("numbers"), encoding: .utf8).split(separator: "\n")
        let output = Pipe()
        let process = Process()
        process.executableURL = URL(filePath: "/bin/ps")
        process.arguments = ["-A", "-o", "pgid=,stat="]
        process.standardOutput = output
        try process.run()
        let lines = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        return lines.split(separator: "\n").map { $0.split(separator: " ") }.filter { columns in
            columns.count == 2 && numbers.contains(columns[0]) && !columns[1].hasPrefix("Z")
        }.map { $0.joined(separator: " ") }
    }

    private func generate(_ reward: String, _ more: [String] = []) -> [String] {
        ["generate", "Hi", "--model", folder.file("tiny.gguf").path, "--reward", reward, "--k", "2", "--horizon", "2"]
            + ["--max-tokens", "200"] + more
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGHUP])
    func signalsEndTheProgramAndItsChildren(signal: Int32) throws {
        let (run, seconds) = try run(generate(try stubbornProgram()), signals: [signal])
        #expect(run.status == 128 + signal && !run.wasSignalled, "\(run.complaints)")
        #expect(run.complaints.contains("interrupted"))
        // A second for the answer, the grace of the children, and a busy machine.
        #expect(seconds < 2.5)
        #expect(try survivors() == [])
    }

    @Test func theSecondSignalEndsItAtOnce() throws {
        let (run, seconds) = try run(
            generate(try stubbornProgram(answersFirst: 6), ["--format", "json"]), signals: [SIGINT, SIGINT], apart: 0.02
        )
        #expect(run.status == 130, "\(run.complaints)")
        #expect(seconds < 1.2)
        #expect(try survivors() == [])
    }

    /// The reward hangs while a step waits for it: what there is comes out all the same, without its reward.
    @Test(arguments: [SIGTERM, SIGINT])
    func theAnswerSoFarIsKept(signal: Int32) throws {
        let (run, seconds) = try run(
            generate(try stubbornProgram(answersFirst: 6), ["--format", "json"]), signals: [signal])
        #expect(run.status == 128 + signal, "\(run.complaints)")
        #expect(seconds < 2.5)
        let answer = try run.answer()
        #expect(answer.finishReason == "cancelled" && answer.usage.completionTokens > 0)
        #expect(try survivors() == [])
    }

    /// A run that ends by itself leaves nothing behind either.
    @Test func errorsEndTheChildrenToo() throws {
        let run = try ProgramRun.run(
            generate(try stubbornProgram(), ["--reward-timeout", "0.3"]),
            environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url)
        #expect(run.status == 1 && run.complaints.contains("did not answer within 0.3 s"), "\(run.complaints)")
        #expect(try survivors() == [])
    }

    // MARK: Readers that go

    /// Runs a shell, whose pipes are real ones.
    private func shell(_ script: String) throws -> (status: Int32, complaints: String) {
        let process = Process()
        let errors = folder.file("errors")
        try Data().write(to: errors)
        process.executableURL = URL(filePath: "/bin/bash")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = folder.url
        process.environment = ProcessInfo.processInfo.environment.merging([
            "PROGRAM": try ProgramRun.executable.path, "TRANSFERQ_CACHE": folder.file("cache").path,
        ]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try String(contentsOf: errors, encoding: .utf8))
    }

    @Test func aReaderThatGoesEndsTheProgramQuietly() throws {
        try #"{"prompt": "a", "response": "one two"}"#.write(
            to: folder.file("one.jsonl"), atomically: true, encoding: .utf8)
        // 141 is what a shell makes of SIGPIPE.
        let score = try shell("\"$PROGRAM\" reward score one.jsonl --reward length:3 | head -0; exit ${PIPESTATUS[0]}")
        #expect(score.status == 141 && score.complaints.isEmpty, "\(score)")
        let answer = try shell(
            "\"$PROGRAM\" generate Hi --model tiny.gguf --max-tokens 300 | head -c 20; exit ${PIPESTATUS[0]}")
        #expect(answer.status == 141 && !answer.complaints.contains("could not be written"), "\(answer)")
        let whole = try shell("\"$PROGRAM\" methods | cat; exit ${PIPESTATUS[0]}")
        #expect(whole.status == 0)
    }

    @Test func aFullDiskIsStillNamed() throws {
        let full = try shell("\"$PROGRAM\" methods > /dev/full")
        #expect(full.status == 1 && full.complaints.contains("the output could not be written"), "\(full)")
    }

    @Test func aConstantRewardIsNotCalibrated() throws {
        let script = """
            import sys, json
            for line in sys.stdin: print(json.dumps([0.1] * len(json.loads(line)["completions"])), flush=True)
            """
        try script.write(to: folder.file("const.py"), atomically: true, encoding: .utf8)
        let prompts = (0..<3).map { "{\"prompt\": \"What now \($0)?\"}" }.joined(separator: "\n")
        try prompts.write(to: folder.file("p3.jsonl"), atomically: true, encoding: .utf8)
        let run = try ProgramRun.run(
            ["reward", "calibrate", "p3.jsonl", "--model", "tiny.gguf", "--reward", "command:python3 const.py"]
                + ["--max-tokens", "4"],
            environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url)
        #expect(run.status != 0 && run.output.isEmpty, "\(run.output)")
        #expect(run.complaints.contains("must be above 0 (all were 0.1: check the reward"), "\(run.complaints)")
    }
}
