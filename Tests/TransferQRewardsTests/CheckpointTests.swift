import Foundation
import Testing
import TransferQRewards

/// Which tensor of which file is the head of a checkpoint.
@Suite struct CheckpointTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "transferq-checkpoint-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// A file with tensors of one number each.
    private func write(_ name: String, _ tensors: [String: Float]) throws {
        var (header, data) = ([String: Any](), Data())
        for (name, value) in tensors.sorted(by: { $0.key < $1.key }) {
            header[name] = ["dtype": "F32", "shape": [1, 1], "data_offsets": [data.count, data.count + 4]]
            withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
        }
        let text = try JSONSerialization.data(withJSONObject: header)
        var file = Data()
        withUnsafeBytes(of: UInt64(text.count).littleEndian) { file.append(contentsOf: $0) }
        try (file + text + data).write(to: folder.appending(path: name))
    }

    private func index(_ map: [String: String], _ name: String = "model.safetensors.index.json") throws {
        try JSONSerialization.data(withJSONObject: ["metadata": [:], "weight_map": map])
            .write(to: folder.appending(path: name))
    }

    private func head(_ path: String? = nil) throws -> Float? {
        defer { try? FileManager.default.removeItem(at: folder) }  // the system's folder of temporary files
        return try Safetensors(path: path ?? folder.path).head()?.values.first
    }

    @Test func theIndexDecidesOverStaleFiles() throws {
        try write("model-00001-of-00002.safetensors", ["score.weight": 1])
        try write("model-00004-of-00004.safetensors", ["score.weight": 4])
        try write("model.safetensors", ["score.weight": 9])
        try index(["score.weight": "model-00004-of-00004.safetensors"])
        #expect(try head() == 4)
    }

    @Test func whatTheIndexDoesNotNameIsNotThere() throws {
        try write("stale.safetensors", ["score.weight": 1])
        try write("model-00001-of-00001.safetensors", ["body": 4])
        try index(["body": "model-00001-of-00001.safetensors"])
        #expect(try head() == nil)
    }

    @Test func anIndexCanBeNamedItself() throws {
        try write("x.safetensors", ["score.weight": 5])
        try index(["score.weight": "x.safetensors"], "other.safetensors.index.json")
        #expect(try head(folder.appending(path: "other.safetensors.index.json").path) == 5)
    }

    @Test func withoutAnIndexTwoFilesMustNotDisagree() throws {
        try write("a.safetensors", ["score.weight": 1])
        try write("b.safetensors", ["score.weight": 2])
        let error = #expect(throws: RewardError.self) { try head() }
        #expect(error?.description.contains("a.safetensors and b.safetensors") == true)
    }

    @Test(arguments: [
        (["score.weight": "lost.safetensors"], "names lost.safetensors, which is not there"),
        (["score.weight": "../x.safetensors"], "outside of its folder"),
        (["score.weight": "x.safetensors"], "has no score.weight, which the index says is in it"),
    ]) func indicesThatDoNotFitAreRefused(map: [String: String], reason: String) throws {
        try write("x.safetensors", ["body": 1])
        try index(map)
        let error = #expect(throws: RewardError.self) { try head() }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    }

    @Test func indicesWithoutAMapAreRefused() throws {
        try write("x.safetensors", ["score.weight": 1])
        try Data("{}".utf8).write(to: folder.appending(path: "model.safetensors.index.json"))
        #expect(throws: RewardError.self) { try head() }
    }

    /// As PEFT, accelerate and torch.compile save them.
    @Test(arguments: [
        "base_model.model.score.weight", "base_model.model.score.modules_to_save.default.weight",
        "base_model.model.score.modules_to_save.weight", "module.score.weight", "_orig_mod.module.score.weight",
        "base_model.model.v_head.modules_to_save.reward.summary.weight",
    ]) func wrappedHeadsAreFound(name: String) throws {
        try write(
            "adapter_model.safetensors",
            [
                name: 3, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": 1,
                "base_model.model.score.original_module.weight": 8,
            ])
        #expect(try Safetensors(path: folder.path).hasAdapter())
        #expect(try head() == 3)
    }

    @Test func severalWrappedHeadsAreNotGuessedAmong() throws {
        try write("m.safetensors", ["module.score.weight": 3, "base_model.model.score.weight": 4])
        let error = #expect(throws: RewardError.self) { try head() }
        #expect(error?.description.contains("base_model.model.score.weight or module.score.weight") == true)
    }
}
