import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama
import TransferQRewards

/// A run that is resumed notices every change of what it reads, however that is named.
@Suite struct ResumeTests {
    private let folder: TemporaryFolder

    /// A folder with prompts and tiny models. The cache holds a tiny model in the place of the demonstration model, in two
    /// formats.
    init() throws {
        folder = try TemporaryFolder()
        try Data("{\"prompt\": \"abc\"}\n{\"prompt\": \"de\"}\n".utf8).write(to: folder.file("p.jsonl"))
        for (index, name) in ["m.gguf", "other.gguf"].enumerated() {
            try ModelWriter.tinyModel(to: folder.file(name), seed: UInt64(100 * index + 1))
        }
        let models = folder.file("cache/models")
        try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true)
        let known = KnownModel.demonstration.file
        for name in [known, Quantization.bf16.fileName(for: known)] {
            try FileManager.default.copyItem(at: folder.file("m.gguf"), to: models.appending(path: name))
        }
    }

    private func head(bias: Double = 0, backbone: LinearHead.Backbone) -> LinearHead {
        LinearHead(
            backbone: backbone, template: .chat, pooling: .end,
            weights: (0..<ModelWriter.width).map { Float($0 % 5) - 2 }, bias: bias)
    }

    private var known: LinearHead.Backbone {
        let known = KnownModel.demonstration
        return .init(model: known.name, sha256: known.sha256, type: "f32", width: ModelWriter.width)
    }

    private func backbone(_ file: String) throws -> LinearHead.Backbone {
        .init(model: file, sha256: try GGUFFile.sha256(folder.file(file).path), type: nil, width: ModelWriter.width)
    }

    private func generate(_ more: [String]) throws -> ProgramRun {
        try ProgramRun.run(
            [
                "generate", "--batch", "p.jsonl", "--model", "m.gguf", "--k", "2", "--horizon", "1", "--max-tokens",
                "2",
                "--output", "o.jsonl",
            ] + more, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url)
    }

    /// One answer is there, then `change` happens: the run goes on before it, and not behind it.
    private func expectNoticed(
        _ reward: String, _ named: String, more: [String] = [], sourceLocation: SourceLocation = #_sourceLocation,
        change: () throws -> Void
    ) throws {
        let output = folder.file("o.jsonl")
        try? FileManager.default.removeItem(at: output)  // of an earlier case, if there was one
        let arguments = ["--reward", reward] + more
        let first = try generate(arguments + ["--limit", "1"])
        #expect(first.status == 0, "\(first.complaints)", sourceLocation: sourceLocation)
        let kept = try Data(contentsOf: output)
        try change()
        let second = try generate(arguments)
        #expect(second.status == 64, "\(reward): \(second.complaints)", sourceLocation: sourceLocation)
        #expect(
            second.complaints.contains("other settings") && second.complaints.contains(named),
            "\(reward): \(second.complaints)", sourceLocation: sourceLocation)
        #expect(try Data(contentsOf: output) == kept, sourceLocation: sourceLocation)
    }

    @Test func headsAreNoticedHoweverTheyAreWritten() throws {
        try head(backbone: known).write(to: folder.file("h.json").path)
        try expectNoticed("clip:-5..5:head:h.json@bf16:0.5", "the file h.json was") {
            try head(bias: 3, backbone: known).write(to: folder.file("h.json").path)
        }
        // Without a change it goes on.
        #expect(try generate(["--reward", "length:4", "--output", "p2.jsonl", "--limit", "1"]).status == 0)
        let rest = try generate(["--reward", "length:4", "--output", "p2.jsonl"])
        #expect(rest.status == 0 && rest.complaints.contains("1 answers are there already"), "\(rest.complaints)")
        let other = try generate(["--reward", "length:4", "--output", "p2.jsonl", "--seed", "7"])
        #expect(other.status == 64 && other.complaints.contains("seed was 0 and is 7"), "\(other.complaints)")
    }

    @Test func headsBesideModelsAreNoticed() throws {
        let path = folder.file("other.gguf").path + ".head.json"
        try head(backbone: backbone("other.gguf")).write(to: path)
        try expectNoticed("gguf:other.gguf", "the file other.gguf.head.json was") {
            try head(bias: 9, backbone: backbone("other.gguf")).write(to: path)
        }
    }

    @Test func modelsInsideConfigurationsAreNoticed() throws {
        let config = folder.file("c.json")
        try Data(#"{"a": {"model": "other.gguf", "adapter": "a.gguf"}, "b": {}}"#.utf8).write(to: config)
        func adapter(_ scale: Float) throws {
            try ModelWriter.adapter(
                to: folder.file("a.gguf"), width: ModelWriter.width, outputWidth: ModelWriter.width, scale: scale)
        }
        try adapter(1)
        try expectNoticed("implicit:c.json", "the file a.gguf was") { try adapter(2) }
        try expectNoticed("implicit:c.json", "the file c.json was") {
            try Data(#"{"a": {"model": "other.gguf", "system": "hm"}, "b": {}}"#.utf8).write(to: config)
        }
        try expectNoticed(#"judge:{"question": "ok {response}", "model": "other.gguf"}"#, "the file other.gguf was") {
            try ModelWriter.tinyModel(to: folder.file("other.gguf"), seed: 77)
        }
        try expectNoticed("length:3", "model was") { try ModelWriter.tinyModel(to: folder.file("m.gguf"), seed: 78) }
    }

    @Test func programsAreNoticed() throws {
        let script = folder.file("r.py")
        func write(_ reward: Int) throws {
            try Data(
                """
                import json, sys
                for line in sys.stdin:
                    n = len(json.loads(line)["completions"])
                    print(json.dumps({"rewards": [\(reward)] * n}), flush=True)

                """.utf8
            ).write(to: script)
        }
        try write(1)
        try expectNoticed("command:python3 r.py", "the file r.py was") { try write(2) }
    }
}
