import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// Adapters that llama.cpp would take without a word, or die of.
@Suite struct AdapterTests {
    private let folder: TemporaryFolder
    private static let width = ModelWriter.width

    init() throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("m.gguf"))
        try ModelWriter.copy(folder.file("m.gguf"), to: folder.file("tied.gguf"), without: ["output.weight"])
    }

    private func load(_ tensors: [(name: String, shape: [Int])], model: String = "m.gguf") async throws -> LlamaAdapter
    {
        try ModelWriter.adapter(to: folder.file("a.gguf"), tensors: tensors)
        return try await LlamaAdapter(
            path: folder.file("a.gguf").path, model: try await LlamaModel(path: folder.file(model).path))
    }

    private static let query = ModelWriter.pair("blk.0.attn_q.weight", inputs: width, outputs: width)
    private static let norm = ModelWriter.pair("blk.0.attn_norm.weight", inputs: width, outputs: 1)

    @Test func whatAppliesAndWhatDoesNotIsSaid() async throws {
        let whole = try await load(Self.query)
        #expect(whole.applied == ["blk.0.attn_q.weight"] && whole.ignored.isEmpty && whole.notice == nil)
        let part = try await load(
            Self.query + Self.norm + ModelWriter.pair("output.weight", inputs: Self.width, outputs: 288)
                + [("output_norm.weight", [Self.width])])
        #expect(part.applied == ["blk.0.attn_q.weight", "output.weight"])
        #expect(part.ignored == ["blk.0.attn_norm.weight", "output_norm.weight"])
        let notice = try #require(part.notice)
        #expect(notice.contains("2 of 4 tensors (blk.0.attn_q.weight, output.weight)"), "\(notice)")
        #expect(notice.contains("ignores the others (blk.0.attn_norm.weight, output_norm.weight)"), "\(notice)")
    }

    @Test func adaptersThatChangeNothingAreRefused() async throws {
        let empty = await #expect(throws: LlamaError.self) { try await load([]) }
        #expect(empty?.description.contains("holds no LoRA tensors") == true)
        let plain = await #expect(throws: LlamaError.self) { try await load([("output_norm.weight", [Self.width])]) }
        #expect(plain?.description.contains("holds no LoRA tensors") == true)
        let norm = await #expect(throws: LlamaError.self) { try await load(Self.norm) }
        #expect(norm?.description.contains("applies none of its tensors: blk.0.attn_norm.weight") == true)
    }

    /// The tables are large enough for the tiny models' vocabularies.
    @Test func embeddingsThatAreOutputsAsWellAreRefused() async throws {
        let tokens = try await LlamaModel(path: folder.file("m.gguf").path).tokenizer.size
        // llama.cpp keeps the first matrix of embeddings transposed.
        let embeddings = [("token_embd.weight.lora_a", [2, tokens]), ("token_embd.weight.lora_b", [2, Self.width])]
        let free = try await load(embeddings)
        #expect(free.applied == ["token_embd.weight"])
        let error = await #expect(throws: LlamaError.self) { try await load(embeddings, model: "tied.gguf") }
        #expect(error?.description.contains("uses for its outputs as well") == true)
        #expect(error?.description.contains("does not fit the model") == true)
        // Other weights of such a model are no trouble.
        #expect(try await load(Self.query, model: "tied.gguf").applied == ["blk.0.attn_q.weight"])
    }

    @Test func adaptersAreNoModelsAndModelsNoAdapters() async throws {
        try ModelWriter.adapter(to: folder.file("a.gguf"), tensors: Self.query)
        let path = folder.file("a.gguf").path
        await #expect(throws: LlamaError.isAdapter(path: path)) { try await LlamaModel(path: path) }
        let model = try await LlamaModel(path: folder.file("m.gguf").path)
        let error = await #expect(throws: LlamaError.self) { try await LlamaAdapter(path: model.path, model: model) }
        #expect(error?.description.contains("it is no adapter") == true)
        // A part of a file is no adapter either.
        let cut = folder.file("cut.gguf")
        try Data(contentsOf: folder.file("a.gguf")).dropLast(100).write(to: cut)
        let short = await #expect(throws: LlamaError.self) { try await LlamaAdapter(path: cut.path, model: model) }
        #expect(short?.description.contains("it is cut") == true)
    }

    /// Three equal texts got three numbers out of one that llama.cpp gives states for.
    @Test(arguments: [
        ["cls.output.weight", "cls.output.bias", "cls.weight", "cls.bias"], ["cls.output.weight", "cls.output.bias"],
    ])
    func classifiersWithoutAHeadAreRefused(missing: [String]) async throws {
        try ModelWriter.tinyClassifier(to: folder.file("c.gguf"))
        let path = folder.file("bare.gguf").path
        try ModelWriter.copy(folder.file("c.gguf"), to: folder.file("bare.gguf"), without: Set(missing))
        let error = await #expect(throws: LlamaError.noClassificationHead(path: path)) {
            try await LlamaClassifier(model: LlamaModel(path: path, purpose: .classification))
        }
        #expect(error?.description.contains("judge:") == true)
        _ = try await LlamaClassifier(model: LlamaModel(path: folder.file("c.gguf").path, purpose: .classification))
    }
}
