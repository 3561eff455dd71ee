import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQRewards

/// `transferq reward …`, and rewards of all kinds in the decoder, on models of the tests' own.
@Suite(.serialized) struct RewardCommandTests {
    /// A folder with a tiny model, and a cache of its own.
    private struct Workshop {
        let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        }

        func path(_ name: String) -> String { folder.file(name).path }

        func write(_ text: String, _ name: String) throws -> String {
            try text.write(to: folder.file(name), atomically: true, encoding: .utf8)
            return path(name)
        }

        func run(_ arguments: [String]) throws -> ProgramRun {
            try ProgramRun.run(arguments, environment: ["TRANSFERQ_CACHE": path("cache")], folder: folder.url)
        }

        func generate(_ rewards: [String], _ more: [String] = []) throws -> ProgramRun {
            try run(
                [
                    "generate", "tell me", "--model", path("tiny.gguf"), "--k", "3", "--horizon", "3", "--max-tokens",
                    "6",
                ]
                    + rewards.flatMap { ["--reward", $0] } + more)
        }

        /// Pairs of which the chosen answer says yes.
        func pairs(_ range: Range<Int>, _ name: String) throws -> String {
            let lines = range.map { index in
                let word = String(repeating: "abcdefgh".map(String.init)[index % 8], count: 1 + index / 8)
                let prompt = "\\n\\nHuman: is it \(word)\\n\\nAssistant:"
                return "{\"chosen\": \"\(prompt) \(word) yes yes\", \"rejected\": \"\(prompt) \(word) no no\"}"
            }
            return try write(lines.joined(separator: "\n"), name)
        }
    }

    @Test func fitsScoresInspectsAndCalibrates() throws {
        let shop = try Workshop()
        let (train, held) = (try shop.pairs(0..<48, "train.jsonl"), try shop.pairs(44..<64, "held.jsonl"))
        let arguments = [
            "reward", "fit", train, "--held-out", held, "--model", shop.path("tiny.gguf"), "--squash", "2",
            "--plot", shop.path("plot.svg"), "--output",
        ]
        let first = try shop.run(arguments + [shop.path("head.json")])
        #expect(first.status == 0, "\(first.complaints)")
        #expect(first.complaints.contains("4 of 48 have prompts that are held out as well, and are not fitted on"))
        #expect(first.output.contains("44 fitted on"))
        let head = try LinearHead.read(shop.path("head.json"))
        #expect(head.training?.count == 44 && head.heldOut?.count == 20)
        #expect(try #require(head.heldOut).low > 0.8)
        #expect(head.range != nil && head.squash == 2)
        let svg = try String(contentsOfFile: shop.path("plot.svg"), encoding: .utf8)
        #expect(svg.hasPrefix("<svg") && svg.contains("this reward"))

        // The same input gives the same file, and nothing is read again.
        let second = try shop.run(arguments + [shop.path("again.json")])
        #expect(second.output.contains("(0 tokens)"))
        let files = try ["head.json", "again.json"].map { try Data(contentsOf: shop.folder.file($0)) }
        #expect(files[0] == files[1])

        let inspected = try shop.run(["reward", "inspect", shop.path("head.json")])
        #expect(inspected.output.contains("tiny.gguf") && inspected.output.contains("held out"))

        let reward = "head:\(shop.path("head.json"))"
        let scored = try shop.run(["reward", "score", held, "--reward", "z:\(reward)", "--reward", "length:4:0.5"])
        #expect(scored.status == 0, "\(scored.complaints)")
        let lines = scored.output.split(separator: "\n")
        #expect(lines.count == 40)
        let line = try #require(lines.first)
        #expect(line.contains("\"role\":\"chosen\"") && line.contains("\"length:4:0.5\":"))
        #expect(scored.complaints.contains("pair accuracy"))

        let otherwise = try shop.run(["reward", "score", held, "--reward", "\(reward)@bf16"])
        #expect(otherwise.status == 1 && otherwise.complaints.contains("leave @bf16 out"), "\(otherwise.complaints)")

        // Its own backbone and prompt: the states come from the policy itself, whatever the method.
        for method in ["args", "cd", "transfer-q", "best-of-n", "greedy", "sample"] {
            let run = try shop.run([
                "generate", "tell me", "--model", shop.path("tiny.gguf"), "--method", method, "--max-tokens", "6",
                "--reward", reward, "--format", "json",
            ])
            #expect(run.status == 0, "\(method): \(run.complaints)")
            #expect(try run.answer().reward != nil)
        }

        let calibrated = try shop.run([
            "reward", "calibrate", held, "--reward", "length:4", "--model", shop.path("tiny.gguf"), "--limit", "8",
        ])
        #expect(calibrated.status == 0, "\(calibrated.complaints)")
        let modifier = calibrated.output.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(modifier.hasPrefix("z:") && modifier.hasSuffix(":length:4"))
        #expect(try shop.generate([modifier]).status == 0)
        let written = try shop.run([
            "reward", "calibrate", held, "--reward", reward, "--model", shop.path("tiny.gguf"), "--limit", "8",
            "--write",
        ])
        #expect(written.status == 0, "\(written.complaints)")
        #expect(try LinearHead.read(shop.path("head.json")).calibration?.count == 8)
    }

    @Test func labelsAreFittedToo() throws {
        let shop = try Workshop()
        let lines = (0..<60).map {
            "{\"text\": \"\($0 % 3 == 0 ? "no" : "yes") \($0)\", \"label\": \($0 % 3 == 0 ? 0 : 1)}"
        }
        let data = try shop.write(lines.joined(separator: "\n"), "labels.jsonl")
        let fit = try shop.run([
            "reward", "fit", data, "--model", shop.path("tiny.gguf"), "--template", "dialogue", "--pooling", "mean",
            "--output", shop.path("head.json"),
        ])
        #expect(fit.status == 0, "\(fit.complaints)")
        let head = try LinearHead.read(shop.path("head.json"))
        #expect(head.template == .dialogue && head.pooling == .mean && head.squash == nil)
        #expect(try #require(head.heldOut).accuracy > 0.8)
        #expect(try shop.generate(["head:\(shop.path("head.json"))"]).status == 0)
    }

    /// Every pair twice: a pair that is measured on must not be fitted on through its double.
    @Test func doublesOfHeldOutPairsAreNotFittedOn() throws {
        let shop = try Workshop()
        let once = try String(contentsOfFile: try shop.pairs(0..<30, "once.jsonl"), encoding: .utf8)
        let twice = try shop.write(once + "\n" + once, "twice.jsonl")
        let fit = try shop.run([
            "reward", "fit", twice, "--model", shop.path("tiny.gguf"), "--output", shop.path("head.json"),
        ])
        #expect(fit.status == 0, "\(fit.complaints)")
        let head = try LinearHead.read(shop.path("head.json"))
        let (fitted, held) = (try #require(head.training?.count), try #require(head.heldOut?.count))
        // A prompt is held out with all its pairs, or not at all.
        #expect(held == 10 && fitted == 50)
    }

    /// The head of a Hugging Face checkpoint, beside the body.
    @Test func convertsClassificationHeads() throws {
        let shop = try Workshop()
        let values = (0..<64).map { Float($0 % 7) / 7 - 0.4 }
        let header = "{\"score.weight\": {\"dtype\": \"F32\", \"shape\": [2, 32], \"data_offsets\": [0, 256]}}"
        var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8)
        for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
        try FileManager.default.createDirectory(at: shop.folder.file("checkpoint"), withIntermediateDirectories: true)
        try bytes.write(to: shop.folder.file("checkpoint/model.safetensors"))
        let arguments = [
            "reward", "convert", shop.path("checkpoint"), "--model", shop.path("tiny.gguf"), "--output",
            shop.path("tiny.gguf.head.json"),
        ]
        let ambiguous = try shop.run(arguments)
        #expect(ambiguous.status == 1 && ambiguous.complaints.contains("score.weight has 2 rows"))
        let bare = try shop.generate(["gguf:\(shop.path("tiny.gguf"))"])
        #expect(bare.status == 1 && bare.complaints.contains("transferq reward convert"), "\(bare.complaints)")
        let converted = try shop.run(arguments + ["--class", "1"])
        #expect(converted.status == 0, "\(converted.complaints)")
        let head = try LinearHead.read(shop.path("tiny.gguf.head.json"))
        #expect(head.weights == Array(values[32...]) && head.pooling == .end)
        let used = try shop.generate(["gguf:\(shop.path("tiny.gguf"))"])
        #expect(used.status == 0, "\(used.complaints)")
        let beyond = try shop.run(arguments + ["--class", "2"])
        #expect(beyond.status == 1 && beyond.complaints.contains("2 rows"))
        // A head that was made for another file of the same width.
        try ModelWriter.tinyModel(to: shop.folder.file("other.gguf"), seed: 5)
        try FileManager.default.copyItem(
            at: shop.folder.file("tiny.gguf.head.json"), to: shop.folder.file("other.gguf.head.json"))
        let other = try shop.generate(["gguf:\(shop.path("other.gguf"))"])
        #expect(other.status == 1 && other.complaints.contains("another SHA-256"), "\(other.complaints)")
    }

    @Test func classifiersSteer() throws {
        let shop = try Workshop()
        try ModelWriter.tinyClassifier(to: shop.folder.file("classifier.gguf"), labels: ["bad", "good"])
        let file = shop.path("classifier.gguf")
        let used = try shop.generate(["gguf:\(file)#good"])
        #expect(used.status == 0, "\(used.complaints)")
        let ambiguous = try shop.generate(["gguf:\(file)"])
        #expect(ambiguous.status == 64 && ambiguous.complaints.contains("tells bad, good apart"))
    }

    @Test func tracesShowTheParts() throws {
        let shop = try Workshop()
        let run = try shop.generate(
            ["length:4", "keywords:a,b:0.5"],
            ["--trace", shop.path("trace.jsonl"), "--format", "json", "--without", "all"])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(run.output.contains("\"rewardParts\"") && run.output.contains("\"keywords:a,b:0.5\""))
        let trace = try String(contentsOfFile: shop.path("trace.jsonl"), encoding: .utf8)
        let line = try #require(trace.split(separator: "\n").first)
        let step = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let candidate = try #require((step["candidates"] as? [[String: Any]])?.first)
        let rollout = try #require((candidate["rollouts"] as? [[String: Any]])?.first)
        let parts = try #require(rollout["rewardParts"] as? [Double])
        let total = try #require(rollout["reward"] as? Double)
        #expect(parts.count == 2 && abs(parts[0] + parts[1] - total) < 1e-12)
    }

    /// A reward that dies for good in the middle of an answer: the answer ends with what it has.
    @Test func aFailingRewardLeavesWhatThereIs() throws {
        let shop = try Workshop()
        let script = try shop.write(
            """
            import json, os, sys
            mark = os.path.join(os.path.dirname(os.path.abspath(__file__)), "count")
            for line in sys.stdin:
                count = int(open(mark).read()) if os.path.exists(mark) else 0
                open(mark, "w").write(str(count + 1))
                if count >= 3:
                    os._exit(4)
                batch = json.loads(line)["completions"]
                print(json.dumps([len(item["response"]) for item in batch]), flush=True)
            """, "reward.py")
        let run = try shop.generate(["command:python3 '\(script)'"], ["--format", "json", "--without", "all"])
        #expect(run.status == 1)
        #expect(run.complaints.contains("ended with status 4, twice"), "\(run.complaints)")
        let answer = try run.answer()
        #expect(answer.finishReason == "failed" && answer.reward == nil)
        #expect(answer.usage.completionTokens == 3 && !answer.response.isEmpty)
        let late = try shop.generate(["command:sleep 60"], ["--reward-timeout", "0.5"])
        #expect(late.status == 1 && late.complaints.contains("did not answer within 0.5 s"))
    }

    @Test func interruptedAnswersKeepTheirReward() throws {
        let shop = try Workshop()
        let script = try shop.write(
            """
            import json, sys, time
            for line in sys.stdin:
                batch = json.loads(line)["completions"]
                time.sleep(0.05)
                print(json.dumps([len(item["response"]) for item in batch]), flush=True)
            """, "reward.py")
        let run = try ProgramRun.run(
            [
                "generate", "tell me", "--model", shop.path("tiny.gguf"), "--k", "3", "--horizon", "3", "--max-tokens",
                "300", "--reward", "command:python3 '\(script)'", "--format", "json",
            ], environment: ["TRANSFERQ_CACHE": shop.path("cache")]
        ) { process in
            Thread.sleep(forTimeInterval: 2.5)
            process.interrupt()
        }
        #expect(run.status == 130, "\(run.complaints)")
        let answer = try run.answer()
        #expect(answer.finishReason == "cancelled" && answer.reward == Double(answer.response.count))
    }

    @Test func promptSetsAreComparedAndResumed() throws {
        let shop = try Workshop()
        let prompts = try shop.write((0..<4).map { "{\"prompt\": \"say \($0)\"}" }.joined(separator: "\n"), "p.jsonl")
        func run(_ more: [String] = []) throws -> ProgramRun {
            try shop.run(
                [
                    "compare", "--prompts", prompts, "--model", shop.path("tiny.gguf"), "--methods", "greedy,args",
                    "--reward", "length:3", "--max-tokens", "5", "--alpha", "0.05", "--k", "4", "--format", "json",
                ] + more)
        }
        let whole = try run(["--output", shop.path("set.run")])
        #expect(whole.status == 0, "\(whole.complaints)")
        let file = shop.folder.file("set.run/answers.jsonl")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 8)
        // As a killed run would leave it: five lines and a part of the sixth.
        try (lines[..<5].joined(separator: "\n") + "\n" + lines[5].prefix(30)).write(
            to: file, atomically: true, encoding: .utf8)
        let resumed = try run(["--output", shop.path("set.run")])
        #expect(resumed.complaints.contains("5 answers are there already"), "\(resumed.complaints)")
        struct Table: Decodable {
            struct Interval: Decodable {
                let mean: Double
                let low: Double
                let high: Double
            }
            struct Cell: Decodable {
                struct Difference: Decodable { let value: Interval }
                let value: Interval
                let difference: Difference?
            }
            struct Row: Decodable {
                let method: String
                let prompts: Int
                let cells: [String: Cell]
            }
            let rows: [Row]
        }
        let tables = try [whole, resumed].map { try JSONDecoder().decode(Table.self, from: Data($0.output.utf8)) }
        let rewards = try tables.map { try $0.rows.map { try #require($0.cells["reward"]) } }
        #expect(rewards[0].map(\.value.mean) == rewards[1].map(\.value.mean))
        #expect(tables[0].rows.map(\.method) == ["greedy", "args"] && tables[0].rows.allSatisfy { $0.prompts == 4 })
        let gain = try #require(rewards[0][1].difference).value
        #expect(abs(gain.mean - (rewards[0][1].value.mean - rewards[0][0].value.mean)) < 1e-12)
        #expect(gain.low <= gain.mean && gain.mean <= gain.high)
        // Without a folder to keep, nothing stays behind.
        #expect(try run().status == 0)
        // Other settings do not mix with these results.
        let mixed = try run(["--output", shop.path("set.run"), "--max-tokens", "9"])
        #expect(mixed.status == 64 && mixed.complaints.contains("answers of other settings"), "\(mixed.complaints)")
        _ = try shop.write("{\"prompt\": \"say 0\"}\n{\"prompt\": \"ask 1\"}", "p.jsonl")
        let others = try run(["--output", shop.path("set.run")])
        #expect(others.status == 64 && others.complaints.contains("another prompt"), "\(others.complaints)")
        _ = try shop.write("{\"prompt\": \"say 0\"}", "p.jsonl")
        #expect(try run().complaints.contains("has one prompt"))
    }

    @Test func kindsAreListed() throws {
        let run = try ProgramRun.run(["reward", "kinds"])
        for kind in ["head:FILE", "gguf:", "implicit:", "judge:", "command:", "http:", "clip:LOW..HIGH:", "z:"] {
            #expect(run.output.contains(kind))
        }
    }

    @Test(arguments: [
        (["reward", "score", "missing.jsonl", "--reward", "length:3"], 1, "no such file"),
        (["reward", "score", "missing.jsonl"], 64, "give a reward with --reward"),
        (["reward", "score", "x", "--reward", "length:3", "--reward-timeout", "0"], 64, "--reward-timeout must be"),
        (["reward", "inspect", "missing.json"], 1, "no such file"),
        (["reward", "fit", "missing.jsonl", "-o", "x.json"], 1, "no such file"),
        (["reward", "fit", "x", "-o", "x.json", "--squash", "0"], 64, "--squash must be"),
        (["reward", "fit", "x", "-o", "x.json", "--regularization", "nan"], 64, "--regularization must be"),
        (["reward", "fit", "x", "-o", "x.json", "--pooling", "end"], 64, "--pooling must be"),
        (
            ["reward", "calibrate", "x", "--reward", "length:3", "--write"], 64,
            "--write needs a single reward head:FILE"
        ),
        (
            ["reward", "calibrate", "x", "--reward", "head:x.json@bf16", "--write"], 64,
            "--write keeps figures of the head's own format; leave @bf16 out"
        ),
        (["reward", "calibrate", "x", "--reward", "length:3", "--reward", "length:4"], 64, "give one --reward"),
        (["reward", "convert", "missing", "--model", "x.gguf", "-o", "y"], 1, "no such file"),
        (["generate", "a", "--reward", "head:missing.json"], 1, "the head missing.json cannot be used"),
        (["generate", "a", "--reward", "z:length:3"], 64, "its mean and spread are not known"),
        (["generate", "a", "--reward", "judge:{\"question\": \"kind?\"}"], 64, "must hold {response}"),
        (["generate", "a", "--reward", "implicit:{}"], 64, "for example"),
        (["generate", "a", "--reward", "command:"], 64, "give a command"),
        (["compare", "a", "--prompts", "x"], 64, "--prompts goes without another prompt"),
        (["compare", "a", "--limit", "4"], 64, "go with --prompts"),
        (["compare", "--prompts", "missing.jsonl", "--reward", "length:3"], 1, "no such file"),
        (["compare", "--prompts", "missing.jsonl"], 64, "needs a reward"),
    ])
    func badRequestsGetASentence(arguments: [String], status: Int, complaint: String) throws {
        let run = try ProgramRun.run(arguments)
        #expect(run.status == status, "\(run.complaints)")
        #expect(run.complaints.contains(complaint), "\(run.complaints)")
        #expect(!run.wasSignalled)
    }

    @Test func tooLittleDataIsNamed() throws {
        let shop = try Workshop()
        let few = try shop.pairs(0..<3, "few.jsonl")
        let same = try shop.write(
            (0..<30).map { "{\"text\": \"a \($0)\", \"label\": 1}" }.joined(separator: "\n"), "same.jsonl")
        for (data, complaint) in [(few, "too few"), (same, "all labels are alike")] {
            let run = try shop.run([
                "reward", "fit", data, "--model", shop.path("tiny.gguf"), "-o", shop.path("x.json"),
            ])
            #expect(run.status == 1 && run.complaints.contains(complaint), "\(run.complaints)")
        }
        let twice = try shop.pairs(0..<20, "twice.jsonl")
        let run = try shop.run([
            "reward", "fit", twice, "--held-out", twice, "--model", shop.path("tiny.gguf"), "-o", shop.path("x.json"),
        ])
        #expect(run.status == 1 && run.complaints.contains("nearly all of it is held out"), "\(run.complaints)")
        let unwritable = try shop.run([
            "reward", "fit", twice, "--model", shop.path("tiny.gguf"), "-o", "/nowhere/x.json",
        ])
        #expect(unwritable.status == 1 && unwritable.complaints.contains("/nowhere/x.json cannot be written"))
    }
}
