import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama

/// What `models info` says of a LoRA adapter.
struct AdapterReport: Encodable {
    let path: String
    let sha256: String
    let kind = "adapter"
    /// Of the models that it goes on, e.g. `llama`.
    let architecture: String
    /// The name of the model that it was trained on, where the file says so.
    let base: String?
    /// What the adapter adds is multiplied by α over the rank; nil where the file has none, and nothing is.
    let alpha: Double?
    /// Of its matrices, each once.
    let ranks: [Int]
    /// The weights that it has matrices for.
    let weights: [String]
    /// Tensors that are no half of a LoRA pair.
    let others: [String]

    init(_ header: GGUFHeader) async throws {
        path = header.path
        sha256 = try await GGUFFile.sha256(of: path)
        architecture = header.architecture
        base = header.text("general.base_model.0.name") ?? header.text("general.basename")
        alpha = header.number("adapter.lora.alpha").flatMap { $0 == 0 ? nil : $0 }
        let pairs = header.tensors.filter { $0.name.hasSuffix(".lora_b") }
        ranks = Set(pairs.compactMap(\.shape.first)).sorted()
        weights = pairs.map { String($0.name.dropLast(".lora_b".count)) }.sorted()
        others = header.tensors.map(\.name).filter { !$0.hasSuffix(".lora_a") && !$0.hasSuffix(".lora_b") }.sorted()
    }

    func show(_ format: OutputFormat) throws {
        guard format == .text else { return Console.print(try JSON.pretty(self)) }
        var lines = [
            "file         \(path)",
            "sha256       \(sha256)",
            "kind         LoRA adapter for a model of architecture \(architecture)\(base.map { ", \($0)" } ?? "")",
            "rank         \(ranks.map(String.init).joined(separator: ", "))\(alpha.map { ", alpha \($0)" } ?? "")",
            "changes      \(weights.isEmpty ? "nothing: it holds no LoRA tensors" : LlamaAdapter.list(weights))",
        ]
        if !others.isEmpty { lines.append("ignored      \(LlamaAdapter.list(others))") }
        lines.append("use          --baseline-lora \(path) beside --model, or \"adapter\" in implicit: and judge:")
        Console.print(lines.joined(separator: "\n"))
    }
}

/// What `models info` says of a model that scores texts.
struct ClassifierReport: Encodable {
    let path: String
    let sha256: String
    let kind = "classifier"
    let architecture: String
    let contextLength: Int
    let labels: [String]
    /// Without it the file gives no scores.
    let hasClassificationHead: Bool

    init(_ header: GGUFHeader) async throws {
        path = header.path
        sha256 = try await GGUFFile.sha256(of: path)
        architecture = header.architecture
        contextLength = header.number("\(architecture).context_length").flatMap { Int(exactly: $0) } ?? 0
        labels = header.texts("\(architecture).classifier.output_labels")
        hasClassificationHead = header.hasClassificationHead
        // What it says of itself is worth something only if it loads.
        if hasClassificationHead { _ = try await ModelFiles.models.load(path, purpose: .classification) }
    }

    func show(_ format: OutputFormat) throws {
        guard format == .text else { return Console.print(try JSON.pretty(self)) }
        let scores =
            !hasClassificationHead
            ? "none: it holds no classification head, so it cannot be used as a reward"
            : labels.isEmpty ? "one number" : labels.joined(separator: ", ")
        var lines = [
            "file         \(path)",
            "sha256       \(sha256)",
            "kind         classifier, architecture \(architecture)",
            "context      \(contextLength) tokens",
            "scores       \(scores)",
        ]
        if hasClassificationHead {
            lines.append("use          --reward gguf:\(path)\(labels.count > 1 ? "#LABEL" : "")")
        }
        Console.print(lines.joined(separator: "\n"))
    }
}
