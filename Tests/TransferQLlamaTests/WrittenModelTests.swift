import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// The files that `scripts/same-answers` asks two programs about. It names a folder for them to stay in, by
/// TRANSFERQ_TEST_MODELS.
@Suite struct WrittenModelTests {
    private static func write(to folder: URL) throws {
        func file(_ name: String) -> URL { folder.appending(path: name) }
        try ModelWriter.tinyModel(to: file("sharp.gguf"), seed: 1000, shape: .sharp)
        try ModelWriter.tinyModel(to: file("other.gguf"), seed: 2000, shape: .sharp)
        try ModelWriter.adapter(
            to: file("adapter.gguf"), width: ModelWriter.width, outputWidth: ModelWriter.width, scale: 8)
        try ModelWriter.tinyClassifier(to: file("classifier.gguf"))
    }

    @Test func filesThatAreWrittenTwiceAreTheSameAndFitEachOther() async throws {
        let again = try TemporaryFolder()
        let kept = ProcessInfo.processInfo.environment["TRANSFERQ_TEST_MODELS"].map { URL(filePath: $0) }
        let folder = kept ?? again.file("first")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Self.write(to: folder)
        try Self.write(to: again.url)
        for name in ["sharp.gguf", "other.gguf", "adapter.gguf", "classifier.gguf"] {
            let content = try Data(contentsOf: folder.appending(path: name))
            #expect(try content == Data(contentsOf: again.file(name)), "\(name)")
        }
        let (sharp, other) = (folder.appending(path: "sharp.gguf").path, folder.appending(path: "other.gguf").path)
        let model = try await LlamaModel(path: sharp)
        #expect(try await LlamaModel(path: other).tokenizer.fingerprint == model.tokenizer.fingerprint)
        let adapter = try await LlamaAdapter(path: folder.appending(path: "adapter.gguf").path, model: model)
        #expect(adapter.applied == ["blk.0.attn_q.weight"])
    }
}
