import Foundation
import TestSupport
import Testing
import TransferQLlama
import TransferQRewards

/// Files that are not what they are taken for: pipes, links, adapters, classifiers without heads.
@Suite struct FileCommandTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("m.gguf"))
    }

    /// A program that waits for something that never comes is ended.
    private func run(_ arguments: [String]) throws -> ProgramRun {
        try ProgramRun.run(arguments, environment: ["TRANSFERQ_CACHE": folder.file("cache").path], folder: folder.url) {
            process in
            let id = process.processIdentifier
            DispatchQueue.global().asyncAfter(deadline: .now() + 30) { if process.isRunning { kill(id, SIGKILL) } }
        }
    }

    @Test func pipesAreRefused() throws {
        #expect(mkfifo(folder.file("pipe").path, 0o600) == 0)
        for arguments in [
            ["models", "info", "pipe"], ["models", "pull", "pipe"], ["generate", "hi", "--model", "pipe"],
            ["generate", "hi", "--model", "m.gguf", "--baseline-lora", "pipe"],
            ["generate", "hi", "--model", "m.gguf", "--reward", "gguf:pipe"],
            ["generate", "hi", "--model", "m.gguf", "--reward", "head:pipe"],
            ["generate", "hi", "--model", "m.gguf", "--reward", "judge:pipe"],
            ["generate", "hi", "--model", "m.gguf", "--reward", "length:3", "--value", "head:pipe"],
            ["reward", "convert", "pipe", "--model", "m.gguf", "--output", "h.json"],
        ] {
            let run = try run(arguments)
            #expect(!run.wasSignalled && run.status != 0, "\(arguments): \(run.complaints)")
            #expect(run.complaints.contains("pipe"), "\(arguments): \(run.complaints)")
        }
        try Data("{\"prompt\": \"a\"}\n".utf8).write(to: folder.file("p.jsonl"))
        let batch = try run(["generate", "--batch", "p.jsonl", "--model", "m.gguf", "--output", "pipe"])
        #expect(batch.status == 64 && batch.complaints.contains("is no regular file"), "\(batch.complaints)")
    }

    /// As a hub's cache keeps them.
    @Test func relativeLinksAreFollowed() throws {
        for name in ["blobs", "snapshots/1"] {
            try FileManager.default.createDirectory(at: folder.file(name), withIntermediateDirectories: true)
        }
        try FileManager.default.moveItem(at: folder.file("m.gguf"), to: folder.file("blobs/5ca1ab1e"))
        let link = folder.file("snapshots/1/linked.gguf").path
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../../blobs/5ca1ab1e")
        let pull = try run(["models", "pull", link])
        #expect(pull.status == 0, "\(pull.complaints)")
        let stored = folder.file("cache/models/linked.gguf").path
        #expect(RegularFile.exists(stored))
        #expect(try GGUFFile.sha256(stored) == GGUFFile.sha256(link))
        #expect(try run(["generate", "a", "--model", "linked.gguf", "--max-tokens", "1"]).status == 0)
        #expect(try run(["generate", "a", "--model", link, "--max-tokens", "1"]).status == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("cache/models").path).count == 1)
    }

    @Test func twoCopiesAtOnceAreOne() async throws {
        let runs = try await withThrowingTaskGroup(of: ProgramRun.self) { group in
            for _ in 0..<2 { group.addTask { try run(["models", "pull", "m.gguf"]) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(runs.contains { $0.status == 0 })
        #expect(runs.allSatisfy { $0.status == 0 || $0.complaints.contains("exists already") })
        let copy = folder.file("cache/models/m.gguf").path
        #expect(try GGUFFile.sha256(copy) == GGUFFile.sha256(folder.file("m.gguf").path))
    }

    @Test func adaptersAreDescribedAndPulled() throws {
        try ModelWriter.adapter(
            to: folder.file("a.gguf"),
            tensors: ModelWriter.pair("blk.0.attn_q.weight", inputs: ModelWriter.width, outputs: ModelWriter.width)
                + ModelWriter.pair("blk.0.attn_norm.weight", inputs: ModelWriter.width, outputs: 1))
        let text = try run(["models", "info", "a.gguf"])
        #expect(text.status == 0 && text.output.contains("LoRA adapter for a model of architecture llama"))
        #expect(text.output.contains("rank         2, alpha 4") && text.output.contains("blk.0.attn_q.weight"))
        let json = try run(["models", "info", "a.gguf", "--format", "json"])
        #expect(json.output.contains("\"kind\"") && json.output.contains("\"adapter\""), "\(json.output)")
        let pull = try run(["models", "pull", "a.gguf"])
        #expect(pull.status == 0 && pull.output.contains("a.gguf"), "\(pull.complaints)")
        let model = try run(["generate", "a", "--model", "a.gguf"])
        #expect(model.status == 1 && model.complaints.contains("is a LoRA adapter and no model"), "\(model.complaints)")
        let used = try run(
            [
                "generate", "a", "--model", "m.gguf", "--baseline-lora", "a.gguf", "--max-tokens", "1", "--method",
                "greedy",
            ])
        #expect(used.status == 0 && used.complaints.contains("applies 1 of 2 tensors"), "\(used.complaints)")
    }

    /// llama.cpp ends the process on these.
    @Test func adaptersOnTiedEmbeddingsAreRefusedByName() throws {
        try ModelWriter.copy(folder.file("m.gguf"), to: folder.file("tied.gguf"), without: ["output.weight"])
        try ModelWriter.adapter(
            to: folder.file("a.gguf"),
            tensors: [("token_embd.weight.lora_a", [2, 288]), ("token_embd.weight.lora_b", [2, ModelWriter.width])])
        let run = try run(["generate", "a", "--model", "tied.gguf", "--baseline-lora", "a.gguf", "--max-tokens", "1"])
        #expect(run.status == 1 && run.complaints.contains("the LoRA adapter a.gguf does not fit"), "\(run.complaints)")
        #expect(!run.complaints.contains("damaged"))
    }

    @Test func rerankersWithoutAHeadAreRefused() throws {
        try ModelWriter.tinyClassifier(to: folder.file("c.gguf"))
        try ModelWriter.copy(
            folder.file("c.gguf"), to: folder.file("bare.gguf"),
            without: ["cls.output.weight", "cls.output.bias", "cls.weight", "cls.bias"])
        let line = "{\"prompt\": \"a\", \"response\": \"b c\"}\n"
        try Data((line + line + line).utf8).write(to: folder.file("eq.jsonl"))
        let bare = try run(["reward", "score", "eq.jsonl", "--reward", "gguf:bare.gguf"])
        #expect(bare.status == 1 && bare.complaints.contains("no classification head"), "\(bare.complaints)")
        #expect(bare.complaints.contains("judge:") && bare.output.isEmpty)
        let whole = try run(["reward", "score", "eq.jsonl", "--reward", "gguf:c.gguf"])
        #expect(whole.status == 0, "\(whole.complaints)")
        #expect(try run(["models", "info", "bare.gguf"]).output.contains("no classification head"))
        let info = try run(["models", "info", "c.gguf"])
        #expect(info.output.contains("kind         classifier, architecture bert"), "\(info.complaints)")
        #expect(try run(["models", "pull", "c.gguf"]).status == 0)
        #expect(try run(["models", "pull", "bare.gguf"]).status == 1)
        #expect(!FileManager.default.fileExists(atPath: folder.file("cache/models/bare.gguf").path))
    }
}
