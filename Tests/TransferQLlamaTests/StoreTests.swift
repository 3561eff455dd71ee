import Foundation
import TestSupport
import Testing
import TransferQLlama

@Suite struct StoreTests {
    @Test func quantizedFilesAreNamedAfterTheirSource() {
        #expect(Quantization.q8.fileName(for: "SmolLM2-135M-Instruct.Q4_1.gguf") == "SmolLM2-135M-Instruct.Q8_0.gguf")
        #expect(Quantization.q4.fileName(for: "model-q4_k_m.gguf") == "model.Q4_0.gguf")
        #expect(Quantization.q4.fileName(for: "model.gguf") == "model.Q4_0.gguf")
    }

    @Test func addressesAreReadOrRefused() throws {
        #expect(
            try Downloader.address("hf:owner/repo/dir/file.gguf").absoluteString
                == "https://huggingface.co/owner/repo/resolve/main/dir/file.gguf")
        #expect(try Downloader.address("https://example.org/a.gguf").host() == "example.org")
        #expect(try Downloader.address("http://127.0.0.1:80/a.gguf").host() == "127.0.0.1")
        let bad = [
            "", "http://example.org/a.gguf", "ftp://example.org/a", "hf:owner/file.gguf", "hf:a/b/c.txt", "https://",
        ]
        for text in bad {
            #expect(throws: StoreError.badAddress(text)) { try Downloader.address(text) }
        }
    }

    @Test func batchWidthsAreMeasuredOnceAndKept() async throws {
        let folder = try TemporaryFolder()
        _ = try ModelWriter.tinyModel(to: folder.file("tiny.gguf"), template: .chatML)
        let model = try await LlamaModel(path: folder.file("tiny.gguf").path)
        let store = ModelStore(root: folder.url)
        let first = try await BatchSpeeds.of(model, threads: 1, store: store)
        #expect(first.speeds.count >= 5 && first.speeds.values.allSatisfy { $0 > 0 && $0.isFinite })
        #expect(first.speeds.keys.contains(first.best))
        // Everything up to the best is slower.
        let enough = first.speeds[first.best] ?? 0
        #expect(first.speeds.allSatisfy { $0.key >= first.best || $0.value < enough })
        #expect(try await BatchSpeeds.of(model, threads: 1, store: store).speeds == first.speeds)
        let speeds = folder.url.appending(path: "speeds")
        let names = try FileManager.default.contentsOfDirectory(atPath: speeds.path)
        #expect(names.count == 1)
        // Other threads, another measurement; a damaged one is made anew.
        _ = try await BatchSpeeds.of(model, threads: 2, store: store)
        #expect(try FileManager.default.contentsOfDirectory(atPath: speeds.path).count == 2)
        try Data("{".utf8).write(to: speeds.appending(path: names[0]))
        #expect(try await BatchSpeeds.of(model, threads: 1, store: store).speeds.count == first.speeds.count)
    }

    /// As with layers on a graphics processor: what is chosen follows from what was measured.
    @Test func attentionAndLanesAreMeasured() async throws {
        let folder = try TemporaryFolder()
        _ = try ModelWriter.tinyModel(to: folder.file("tiny.gguf"), template: .chatML)
        let model = try await LlamaModel(path: folder.file("tiny.gguf").path)
        let store = ModelStore(root: folder.url)
        let whole = try await BatchSpeeds.of(model, threads: 2, store: store, isWhole: true)
        let flash = try #require(whole.flash)
        let (matrix, lanes) = (whole.speeds, try #require(whole.lanes))
        #expect(Set(flash.keys) == Set(matrix.keys) && flash.keys.max() ?? 0 >= 128 && lanes > 0)
        let isFlash = (flash.values.max() ?? 0) > (matrix.values.max() ?? 0)
        #expect(whole.attention == (isFlash ? .flash : .matrix))
        #expect(whole.prefersLanes == (lanes > max(flash.values.max() ?? 0, matrix.values.max() ?? 0)))
        // Kept beside the part that the processor alone needs, and for these options only.
        #expect(try await BatchSpeeds.of(model, threads: 2, store: store, isWhole: true).flash == flash)
        #expect(try await BatchSpeeds.of(model, threads: 2, store: store).flash == nil)
        let other = try await LlamaModel(
            path: folder.file("tiny.gguf").path, options: LlamaOptions(gpuLayers: 3, cacheType: .f16))
        _ = try await BatchSpeeds.of(other, threads: 2, store: store)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("speeds").path).count == 3)
    }

    @Test func theFasterAttentionIsChosen() {
        let flash = BatchSpeeds(speeds: [1: 10, 8: 40], flash: [1: 9, 8: 50, 16: 80, 32: 90], lanes: 70)
        #expect(flash.attention == .flash && flash.best == 16 && !flash.prefersLanes)
        let matrix = BatchSpeeds(speeds: [1: 10, 8: 40], flash: [1: 30], lanes: 50)
        #expect(matrix.attention == .matrix && matrix.best == 8 && matrix.prefersLanes)
    }

    @Test func namesResolveToFiles() throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(root: folder.url)
        #expect(throws: StoreError.notPulled(name: "smollm2-135m-instruct")) {
            try store.resolve("smollm2-135m-instruct")
        }
        #expect(throws: StoreError.self) { try store.resolve("nobody") }
        #expect(throws: LlamaError.noSuchFile(path: "no/such.gguf")) { try store.resolve("no/such.gguf") }
        try FileManager.default.createDirectory(at: store.models, withIntermediateDirectories: true)
        try Data().write(to: store.file("SmolLM2-135M-Instruct.Q4_1.gguf"))
        #expect(try store.resolve("smollm2-135m-instruct").lastPathComponent.contains("Q4_1"))
        try Data().write(to: store.file("SmolLM2-135M-Instruct.Q8_0.gguf"))
        #expect(try store.resolve("smollm2-135m-instruct").lastPathComponent.contains("Q8_0"))
        #expect(try store.files().count == 2)
    }

    @Test func filesThatAreNoModelsAreRefused() async throws {
        let folder = try TemporaryFolder()
        await #expect(throws: LlamaError.noSuchFile(path: "/no/such")) { try await LlamaModel(path: "/no/such") }
        await #expect(throws: LlamaError.isDirectory(path: folder.url.path)) {
            try await LlamaModel(path: folder.url.path)
        }
        let text = folder.file("text.gguf")
        try Data("I am a text.".utf8).write(to: text)
        await #expect(throws: LlamaError.notGGUF(path: text.path)) { try await LlamaModel(path: text.path) }
        let bert = folder.file("bert.gguf")
        try ModelWriter.adapter(to: bert, width: 32, outputWidth: 32, scale: 1)
        await #expect(throws: LlamaError.self) { try await LlamaModel(path: bert.path) }
        let whole = folder.file("tiny.gguf")
        try ModelWriter.tinyModel(to: whole)
        let data = try Data(contentsOf: whole)
        for share in [0.01, 0.3, 0.6, 0.99] {
            let cut = folder.file("cut\(share).gguf")
            try data.prefix(Int(Double(data.count) * share)).write(to: cut)
            await #expect(throws: LlamaError.self) { try await LlamaModel(path: cut.path) }
        }
    }

    @Test func requantizingKeepsTheModelAndNeverOverwrites() async throws {
        let folder = try TemporaryFolder()
        let source = folder.file("tiny.gguf")
        let target = folder.file("tiny.Q8_0.gguf")
        try ModelWriter.tinyModel(to: source)
        try await Quantization.q8.requantize(source.path, to: target.path)
        let model = try await LlamaModel(path: target.path)
        #expect(model.tokenizer.fingerprint == (try await LlamaModel(path: source.path)).tokenizer.fingerprint)
        await #expect(throws: StoreError.exists(path: target.path)) {
            try await Quantization.q8.requantize(source.path, to: target.path)
        }
        await #expect(throws: StoreError.self) {
            try await Quantization.q8.requantize(source.path, to: "/no/such/folder/x.gguf")
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.url.path)
        #expect(left.sorted() == ["tiny.Q8_0.gguf", "tiny.gguf"])
    }
}
