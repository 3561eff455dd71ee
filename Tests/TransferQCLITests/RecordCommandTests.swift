import Foundation
import TestSupport
import Testing
import TransferQRewards

/// Files of prompts and answers on the command line.
@Suite(.serialized) struct RecordCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, _ name: String) throws -> String {
        try Data(text.utf8).write(to: folder.file(name))
        return folder.file(name).path
    }

    private func run(_ arguments: [String]) throws -> ProgramRun {
        try ProgramRun.run(
            arguments, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url)
    }

    @Test func rewardsGetThePromptOnceAndTheAnswerAlone() throws {
        // A reward program that says on standard error what it was asked.
        let program = try write(
            """
            import json, sys
            for line in sys.stdin:
                asked = json.loads(line)["completions"]
                print([([m["content"] for m in c["conversation"]], c["response"]) for c in asked], file=sys.stderr)
                print([0.5] * len(asked), flush=True)
            """, "show.py")
        for (record, asked) in [
            (
                #"{"prompt": "Q?", "chosen": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "A."}], "#
                    + #""rejected": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "B."}]}"#,
                "[(['Q?'], 'A.'), (['Q?'], 'B.')]"
            ),
            (
                #"{"prompt": "\n\nHuman: Q?\n\nAssistant:", "chosen": " A.", "rejected": " B."}"#,
                "[(['Q?'], 'A.'), (['Q?'], 'B.')]"
            ),
            (#"{"question": "Q?", "chosen": "A.", "rejected": "B."}"#, "[(['Q?'], 'A.'), (['Q?'], 'B.')]"),
        ] {
            let score = try run([
                "reward", "score", try write(record, "data.jsonl"), "--reward", "command:python3 \(program)",
            ])
            #expect(score.status == 0 && score.complaints.contains(asked), "\(score.complaints)")
        }
    }

    @Test func brokenRecordsAndKeysAreLeftOutOnlyWhenAsked() throws {
        let data = try write(
            #"{"prompt": "p", "context": "c", "response": "a b"}"# + "\n{\n", "data.jsonl")
        let score = ["reward", "score", data, "--reward", "length:3"]
        let first = try run(score)
        #expect(first.status == 1 && first.complaints.contains("line 1: the key \"context\""), "\(first.complaints)")
        let second = try run(score + ["--ignore-key", "context"])
        #expect(second.status == 1 && second.complaints.contains("data.jsonl, line 2: "), "\(second.complaints)")
        #expect(first.output.isEmpty && second.output.isEmpty)
        let third = try run(score + ["--ignore-key", "context", "--skip-broken"])
        #expect(third.status == 0 && third.output.split(separator: "\n").count == 1)
        #expect(third.complaints.contains("skipped 1 of 2 records: line 2"), "\(third.complaints)")
        let alone = try run(["generate", "Hi.", "--skip-broken"])
        #expect(alone.status == 64 && alone.complaints.contains("go with --batch"), "\(alone.complaints)")
    }

    /// 100,000 pairs of which two are wanted, and the rest is no JSON: what is not needed is not read.
    @Test func aLimitEndsReading() throws {
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        let line = #"{"prompt": "a b", "chosen": "a", "rejected": "b"}"# + "\n"
        let data = try write(line + line + "no JSON\n" + String(repeating: line, count: 1000), "data.jsonl")
        let run = try run([
            "generate", "--batch", data, "--limit", "2", "--model", folder.file("tiny.gguf").path, "--method", "greedy",
            "--max-tokens", "2",
        ])
        #expect(run.status == 0 && run.complaints.contains("2 answers"), "\(run.complaints)")
    }

    @Test func aRewardThatWasFittedWithoutPromptsSaysSo() throws {
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        func fit(_ key: String, _ head: String) throws -> ProgramRun {
            let words = "abcdefgh".map(String.init)
            let lines = (0..<40).map { index in
                let word = String(repeating: words[index % 8], count: 1 + index / 8)
                return #"{\#(key)"chosen": "\#(word) yes yes", "rejected": "\#(word) no no"}"#.replacing(
                    "WORD", with: word)
            }
            return try run([
                "reward", "fit", try write(lines.joined(separator: "\n"), "data.jsonl"), "--model",
                folder.file("tiny.gguf").path, "--regularization", "1", "-o", folder.file(head).path,
            ])
        }
        let bare = try fit("", "bare.json")
        #expect(
            bare.status == 0 && bare.complaints.contains("none of the 80 answers has a prompt"), "\(bare.complaints)")
        #expect(bare.output.contains("held out, answers without their prompts: "), "\(bare.output)")
        #expect(bare.output.contains("no prompts: the reward was fitted and measured on answers by themselves"))
        #expect(try LinearHead.read(folder.file("bare.json").path).training?.withoutPrompt ?? 0 > 0)
        let inspected = try run(["reward", "inspect", folder.file("bare.json").path])
        #expect(inspected.output.contains("without prompt"), "\(inspected.output)")
        let asked = try fit(#""question": "is it WORD", "#, "asked.json")
        #expect(asked.status == 0 && !asked.output.contains("no prompts"), "\(asked.complaints)")
        #expect(try LinearHead.read(folder.file("asked.json").path).training?.withoutPrompt == nil)
        // A prompt under a key that is not known stops the run before anything is fitted.
        let lost = try fit(#""scenario_context": "is it WORD", "#, "lost.json")
        #expect(lost.status == 1 && lost.complaints.contains("scenario_context"), "\(lost.complaints)")
        #expect(!FileManager.default.fileExists(atPath: folder.file("lost.json").path))
    }
}
