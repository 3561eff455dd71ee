import Foundation
import TestSupport
import Testing
import TransferQLlama

/// `generate --batch` gives the same answers each time, with tiny models.
@Suite struct BatchSeedTests {
    private let folder: TemporaryFolder

    init() async throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        for format in [Quantization.q8, .f32] {
            try await format.requantize(
                folder.file("tiny.gguf").path, to: folder.file("tiny.\(format.rawValue).gguf").path)
        }
        let prompts = (0..<7).map {
            "{\"prompt\": \"\(String(repeating: "what is rain ", count: 1 + $0 % 3))\($0)\"}\n"
        }
        try Data(prompts.joined().utf8).write(to: folder.file("prompts.jsonl"))
        // Takes its time, a different one each time.
        let reward = """
            import json, random, sys, time
            for line in sys.stdin:
                time.sleep(random.random() / 1000)
                texts = [c["response"] for c in json.loads(line)["completions"]]
                print(json.dumps({"rewards": [float(len(set(t))) for t in texts]}), flush=True)
            """
        try Data(reward.utf8).write(to: folder.file("reward.py"))
    }

    private struct Line: Decodable, Equatable {
        let prompt: Int
        let response: String
        let dependsOnNeighbours: Bool
    }

    private func answers(_ format: Quantization, _ more: [String]) throws -> (lines: [Line], complaints: String) {
        let run = try ProgramRun.run(
            ["generate", "--batch", "prompts.jsonl", "--model", "tiny.\(format.rawValue).gguf", "--format", "json"]
                + ["--seed", "5"] + more, folder: folder.url)
        #expect(run.status == 0, "\(run.complaints)")
        let lines = try run.output.split(separator: "\n").map {
            try JSONDecoder().decode(Line.self, from: Data($0.utf8))
        }
        #expect(lines.map(\.prompt) == Array(0..<7))
        return (lines, run.complaints)
    }

    @Test(arguments: [
        ["--method", "sample", "--max-tokens", "60"],
        [
            "--reward", "command:python3 reward.py", "--k", "3", "--horizon", "4", "--max-tokens", "5", "--threads",
            "3",
        ],
    ])
    func theSameCommandGivesTheSameAnswers(arguments: [String]) throws {
        let first = try answers(.q8, arguments)
        #expect(first.lines.allSatisfy { $0.dependsOnNeighbours })
        #expect(first.complaints.contains("--parallel 1"), "\(first.complaints)")
        #expect(try answers(.q8, arguments).lines == first.lines)
        // What does not depend on neighbours says so, and does not.
        let (alone, said) = try answers(.q8, arguments + ["--parallel", "1"])
        #expect(!alone[0].dependsOnNeighbours && !said.contains("--parallel 1"))
        let precise = try answers(.f32, arguments)
        #expect(!precise.lines[0].dependsOnNeighbours && !precise.complaints.contains("--parallel 1"))
        #expect(try answers(.f32, arguments + ["--parallel", "1"]).lines == precise.lines)
    }
}
