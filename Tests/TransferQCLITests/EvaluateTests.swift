import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQEvaluation

/// `transferq evaluate` on a random model whose choices rounding does not decide.
@Suite struct EvaluateTests {
    private let program: SharpProgram
    private var folder: TemporaryFolder { program.folder }

    init() throws {
        program = try SharpProgram()
        try write("p.jsonl", (0..<6).map { "{\"prompt\": \"Prompt number \($0)\"}\n" }.joined())
        try configure()
    }

    private func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: folder.file(name)) }

    private func configure(
        _ name: String = "e.yaml", model: String? = nil, methods: String = "[greedy, transfer-q, sample]",
        seeds: String = "[0, 1]", limit: Int = 6, more: String = "", reward: String = "length:4"
    ) throws {
        try write(
            name,
            """
            prompts: {file: p.jsonl, limit: \(limit)}
            model: \(model ?? program.model)
            baselines: {other: {system: Be short.}}
            reward: \(reward)
            gold: {long: "length:9", words: [keywords:a, "length:3:0.5"]}
            parameters: {k: 3, horizon: 3}
            methods: \(methods)
            seeds: \(seeds)
            limits: {maxTokens: 6}
            metrics: [repetition, distinct, "perplexity:\(program.model)"]
            \(more)
            """)
    }

    private func evaluate(
        _ arguments: [String], whileRunning: (Process) throws -> Void = { _ in }
    ) throws -> ProgramRun {
        try ProgramRun.run(
            ["evaluate"] + arguments, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url,
            whileRunning: whileRunning)
    }

    private func run(_ output: String, _ more: [String] = []) throws -> ProgramRun {
        try evaluate(["run", "e.yaml", "--output", output] + more)
    }

    private func answers(_ run: String) throws -> [AnswerLine] { try RunFolder(folder.file(run).path).answers() }

    /// Without what no two runs have in common.
    private func lasting(_ run: String) throws -> [AnswerLine] {
        try answers(run).map { line in
            var line = line
            line.seconds = 0
            return line
        }
    }

    @Test func aRunLeavesWhatItSays() throws {
        let run = try run("r", ["--parallel", "2"])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.output.contains("guiding reward") && run.output.contains("difference to greedy"))
        let record = try RunFolder(folder.file("r").path).specification()
        #expect(record.program == "0.1.0" && record.specification.methods.count == 3)
        #expect(record.settings.parameters(of: "transfer-q")["baseline"] == "other")
        #expect(record.settings.parameters(of: "transfer-q")["horizon"] == "3")
        #expect(Double(record.settings.parameters(of: "transfer-q")["alpha"] ?? "") == 0.1)
        let answers = try answers("r")
        #expect(answers.count == 36 && Set(answers.map(\.answer)).count == 36)
        for line in answers {
            #expect((line.differs ?? -1) >= 0 && (line.referenceLogProbability ?? 1) <= 0 && line.reward != nil)
            if line.method == "greedy" {
                #expect(line.differs == 0 && line.rolloutTokens == 0)
                // A point mass costs what the reference gives the choices.
                if line.endToken == nil {
                    #expect(abs((line.kl ?? 0) + (line.referenceLogProbability ?? 0)) < 1e-4)
                }
            }
            if line.method == "transfer-q" { #expect(line.rolloutTokens > 0 && line.modelCalls > line.tokens.count) }
        }
        let gold = try RunFolder(folder.file("r").path).gold()
        #expect(gold.count == 72 && Set(gold.map(\.name)) == ["long", "words"])
        let metrics = try RunFolder(folder.file("r").path).metrics()
        #expect(metrics.count == 36 * 5)
        let again = try self.run("r")
        #expect(again.status == 0 && again.complaints.contains("all answers are there already"), "\(again.complaints)")
        #expect(again.output == run.output)
        let table = try evaluate(["table", "r"])
        #expect(table.output == run.output)
        let scored = try evaluate(["score", "r"])
        #expect(scored.complaints.contains("nothing is missing"), "\(scored.complaints)")
    }

    /// A model that takes no part, which here is the reference itself: the answer's text has the same tokens again.
    @Test func perplexityIsThatOfTheReferenceUnderItself() throws {
        let model = "smollm2-135m-instruct@f32"
        try write("p.txt", "How do I make tea?\nWhat is the capital of France?\n")
        try write(
            "real.yaml",
            """
            prompts: {file: p.txt}
            model: \(model)
            reward: length:9
            methods: [greedy]
            limits: {maxTokens: 9}
            metrics: ["perplexity:\(model)"]
            """)
        let run = try ProgramRun.run(["evaluate", "run", "real.yaml", "--output", "real"], folder: folder.url)
        #expect(run.status == 0, "\(run.complaints)")
        let metrics = try RunFolder(folder.file("real").path).metrics()
        let lines = try answers("real")
        #expect(lines.count == 2)
        for line in lines {
            let value = try #require(metrics.first { $0.answer == line.answer }?.value)
            #expect(abs(value / (line.referencePerplexity ?? 0) - 1) < 1e-4)
        }
    }

    @Test func methodsSeedsAndPromptsMayBeAdded() throws {
        try configure(methods: "[greedy]", seeds: "[0]", limit: 2)
        #expect(try run("r").status == 0)
        #expect(try answers("r").count == 2)
        try configure(methods: "[greedy, sample]", seeds: "[0, 1]", limit: 4)
        let more = try run("r")
        #expect(more.status == 0 && more.complaints.contains("14 answers made"), "\(more.complaints)")
        // What is not asked for any more stays.
        try configure(methods: "[transfer-q]", seeds: "[1]", limit: 1)
        #expect(try run("r").status == 0)
        let record = try RunFolder(folder.file("r").path).specification()
        #expect(record.specification.methods.map(\.label) == ["greedy", "sample", "transfer-q"])
        #expect(try answers("r").count == 17)
        // As one run would have made them.
        try configure()
        #expect(try run("r").status == 0 && run("whole").status == 0)
        let key = { (line: AnswerLine) in line.answer }
        #expect(try Set(lasting("r").map(key)) == Set(lasting("whole").map(key)))
    }

    @Test func shardsMergeToTheWhole() throws {
        #expect(try run("whole").status == 0)
        for shard in 1...3 { #expect(try run("part-\(shard)", ["--shard", "\(shard)/3"]).status == 0) }
        let merged = try evaluate(["merge", "part-3", "part-1", "part-2", "--output", "merged"])
        #expect(merged.status == 0, "\(merged.complaints)")
        let (one, other) = (try lasting("merged"), try lasting("whole"))
        #expect(one.map(\.answer) == other.map(\.answer))
        #expect(one.map(\.tokens) == other.map(\.tokens))
        #expect(try evaluate(["table", "merged"]).status == 0)
        #expect(try RunFolder(folder.file("merged").path).gold().count == 72)
        // It can be gone on with.
        #expect(try run("merged").complaints.contains("all answers are there already"))
        let twice = try evaluate(["merge", "part-1", "--output", "merged"])
        #expect(twice.status == 64 && twice.complaints.contains("not empty"))
        let wrong = try run("part-1", ["--shard", "2/3"])
        #expect(
            wrong.status == 64 && wrong.complaints.contains("it was shard 1/3 and is shard 2/3"), "\(wrong.complaints)")
    }

    @Test func otherSettingsAreRefusedWithTheDifference() throws {
        try configure(methods: "[greedy, transfer-q]", seeds: "[0]", limit: 2)
        #expect(try run("r", ["--answers-only"]).status == 0)
        func expectRefused(_ part: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
            let run = try run("r")
            #expect(run.status == 64, "\(run.complaints)", sourceLocation: sourceLocation)
            #expect(run.complaints.contains(part), "\(run.complaints)", sourceLocation: sourceLocation)
            #expect(try answers("r").count == 4, sourceLocation: sourceLocation)
        }
        try configure(methods: "[greedy, {name: transfer-q, alpha: 2, label: transfer-q}]", seeds: "[0]", limit: 2)
        try expectRefused("alpha was 0.1 and is 2")
        try configure(methods: "[greedy]", seeds: "[0]", limit: 2, reward: "length:5")
        try expectRefused("reward was length:4 and is length:5")
        try ModelWriter.tinyModel(to: folder.file("m.gguf"), seed: 5)
        try configure(model: folder.file("m.gguf").path, methods: "[greedy]", seeds: "[0]", limit: 2)
        try expectRefused("model was")
        try configure(methods: "[greedy]", seeds: "[0]", limit: 2)
        try write("p.jsonl", "{\"prompt\": \"Another\"}\n{\"prompt\": \"Prompt number 1\"}\n")
        try expectRefused("answers to another prompt 0")
    }

    @Test func brokenPromptsAreNamed() throws {
        try write("p.jsonl", "{\"prompt\": \"One\"}\n{\"prompt\": \"Two\n{\"prompt\": \"Three\"}\n")
        try configure(methods: "[greedy]", seeds: "[0]")
        let fatal = try run("r")
        #expect(fatal.status == 1 && fatal.complaints.contains("p.jsonl, line 2"), "\(fatal.complaints)")
        #expect(!FileManager.default.fileExists(atPath: folder.file("r/answers.jsonl").path))
        let text = try String(contentsOf: folder.file("e.yaml"), encoding: .utf8)
        try write("e.yaml", text.replacing("limit: 6", with: "limit: 6, skipBroken: true"))
        let skipped = try run("r")
        #expect(
            skipped.status == 0 && skipped.complaints.contains("skipped 1 of 3 records: line 2"),
            "\(skipped.complaints)")
        #expect(try answers("r").count == 2)
    }

    @Test func faultyConfigurationsAreNamed() throws {
        let faults: [(String, String)] = [
            ("methods: [greedy\n", "is no YAML"), ("- greedy\n", "holds no keys"),
            ("methods: [greedy]\n", "prompts is missing"),
            ("prompts: {file: p.jsonl}\nmethods: [greedy, cd]\n", "the method cd"),
            ("prompts: {file: none.jsonl}\nmethods: [greedy]\n", "none.jsonl"),
        ]
        for (text, part) in faults {
            try write("e.yaml", text + (text.contains("prompts") ? "model: \(program.model)\n" : ""))
            let run = try run("r")
            #expect(run.status != 0 && run.complaints.contains(part), "\(text): \(run.complaints)")
            #expect(!FileManager.default.fileExists(atPath: folder.file("r/specification.json").path))
        }
        let nothing = try evaluate(["table", "nowhere"])
        #expect(nothing.status == 64 && nothing.complaints.contains("is no run folder"))
    }

    // MARK: Ends at any moment

    /// Killed 20 times, each time some answers later, it ends with the answers of a run that was not.
    @Test func aRunThatIsKilledLosesAndRepeatsNothing() throws {
        try configure(seeds: "[0, 1, 2, 3]")
        #expect(try run("whole", ["--answers-only"]).status == 0)
        let file = folder.file("r/answers.jsonl").path
        func size() -> Int { (FileManager.default.contents(atPath: file) ?? Data()).count }
        var kills = 0
        for round in 0..<20 {
            let noise = Noise(seed: 4).derived(round)
            let before = size()
            let grown = before + Int(noise.derived(0).uniform * 2500)
            let run = try evaluate(["run", "e.yaml", "--output", "r", "--answers-only"]) { process in
                let end = ContinuousClock.now + .seconds(20)
                while process.isRunning, size() <= grown, .now < end { usleep(200) }
                usleep(UInt32(noise.derived(1).uniform * 8000))
                kill(process.processIdentifier, SIGKILL)
            }
            if run.wasSignalled { kills += 1 }
        }
        #expect(kills >= 15)
        #expect(try run("r", ["--answers-only"]).status == 0)
        let (one, other) = (try lasting("r"), try lasting("whole"))
        #expect(one.map(\.answer) == other.map(\.answer) && one.map(\.tokens) == other.map(\.tokens))
        for (left, right) in zip(one, other) {
            #expect(abs((left.kl ?? 0) - (right.kl ?? 0)) < 1e-4 && left.differs == right.differs)
            #expect(left.reward == right.reward && left.rolloutTokens == right.rolloutTokens)
        }
    }

    /// A file that may not grow any more stands for a full disk.
    @Test func aFullDiskEndsTheRunWithASentence() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/bash")
        // Blocks of 1,024 bytes; the signal ignored, so that writing fails instead.
        process.arguments = [
            "-c", "trap '' XFSZ; ulimit -f 12; exec \"$0\" evaluate run e.yaml --output r --answers-only",
            try ProgramRun.executable.path,
        ]
        process.currentDirectoryURL = folder.url
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["TRANSFERQ_CACHE": folder.file("cache").path]) { $1 }
        let errors = folder.file("errors")
        try Data().write(to: errors)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        let complaints = try String(contentsOf: errors, encoding: .utf8)
        #expect(
            process.terminationStatus == 1 && complaints.contains("answers.jsonl cannot be written"), "\(complaints)")
        let before = try answers("r").count
        #expect(before > 0 && before < 36)
        #expect(try run("r", ["--answers-only"]).complaints.contains("\(36 - before) answers made"))
        #expect(try run("whole", ["--answers-only"]).status == 0)
        #expect(try lasting("r").map(\.answer) == lasting("whole").map(\.answer))
    }

    @Test func twoRunsDoNotWriteIntoOneFolder() throws {
        #expect(try run("r", ["--answers-only"]).status == 0)
        let descriptor = open(folder.file("r/.lock").path, O_RDWR)
        #expect(descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        defer { close(descriptor) }
        let second = try run("r")
        #expect(second.status == 64 && second.complaints.contains("another program is writing"), "\(second.complaints)")
    }

    @Test func tracesAreKeptWhereAskedFor() throws {
        try configure(methods: "[transfer-q]", seeds: "[0]", limit: 2, more: "traces: true")
        #expect(try run("r", ["--answers-only"]).status == 0)
        for line in try answers("r") {
            let file = RunFolder(folder.file("r").path).traceFile(line.answer)
            let steps = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            #expect(steps.count == line.tokens.count + (line.endToken == nil ? 0 : 1))
        }
    }
}
