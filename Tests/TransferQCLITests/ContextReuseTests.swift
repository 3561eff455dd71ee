import Foundation
import TestSupport
import Testing
import TransferQRewards

/// Commands that answer many prompts load and make what they need once, with tiny models.
@Suite struct ContextReuseTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        try ModelWriter.adapter(
            to: folder.file("adapter.gguf"), width: ModelWriter.width, outputWidth: ModelWriter.width, scale: 1)
        let prompts = (0..<5).map { "{\"prompt\": \"\(String(repeating: "rain ", count: 1 + 7 * ($0 % 3)))\($0)\"}\n" }
        try Data(prompts.joined().utf8).write(to: folder.file("prompts.jsonl"))
    }

    /// How often llama.cpp says something.
    private func count(_ words: String, _ arguments: [String]) throws -> Int {
        let run = try ProgramRun.run(arguments, environment: ["TRANSFERQ_LLAMA_LOG": "1"], folder: folder.url)
        #expect(run.status == 0, "\(run.complaints.suffix(500))")
        return run.complaints.split(separator: "\n").count { $0.contains(words) }
    }

    @Test func comparisonsLoadAnAdapterOnceAndKeepTheirContexts() throws {
        let arguments = [
            "compare", "--prompts", "prompts.jsonl", "--model", "tiny.gguf", "--baseline-lora", "adapter.gguf",
            "--methods", "sample,transfer-q", "--reward", "length:3", "--k", "2", "--horizon", "2", "--max-tokens", "3",
        ]
        #expect(try count("loading lora adapter from", arguments) == 1)
        let few = try count("constructing llama_context", arguments + ["--limit", "2"])
        #expect(few > 0)
        #expect(try count("constructing llama_context", arguments) == few)
    }

    @Test func calibrationsKeepTheirContext() throws {
        // Gives different answers different rewards.
        let reward = """
            import json, sys
            for line in sys.stdin:
                texts = [c["response"] for c in json.loads(line)["completions"]]
                print(json.dumps({"rewards": [float(sum(map(ord, t)) % 97) for t in texts]}), flush=True)
            """
        try Data(reward.utf8).write(to: folder.file("reward.py"))
        let arguments = [
            "reward", "calibrate", "prompts.jsonl", "--model", "tiny.gguf", "--reward", "command:python3 reward.py",
            "--max-tokens", "12",
        ]
        let few = try count("constructing llama_context", arguments + ["--limit", "2"])
        #expect(few > 0)
        #expect(try count("constructing llama_context", arguments + ["--limit", "5"]) == few)
    }

    @Test func tracesOfABatchAreWholeAndInOrder() throws {
        let run = try ProgramRun.run(
            [
                "generate", "--batch", "prompts.jsonl", "--model", "tiny.gguf", "--reward", "length:3", "--k", "3",
                "--horizon", "2", "--max-tokens", "6", "--without", "prune", "--trace", "trace.jsonl", "--threads", "3",
            ], folder: folder.url)
        #expect(run.status == 0, "\(run.complaints)")
        let lines = try String(contentsOf: folder.file("trace.jsonl"), encoding: .utf8).split(separator: "\n")
        struct Line: Decodable { let prompt: Int }
        let prompts = try lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)).prompt }
        #expect(prompts == prompts.sorted() && Set(prompts) == [0, 1, 2, 3, 4])
        #expect(Set(try ValueTrace(folder.file("trace.jsonl").path).states.map(\.prompt)) == [0, 1, 2, 3, 4])
    }
}
