import CLlama
public import Foundation
public import TransferQ
import TransferQLlama
import TransferQRandomModels

/// Writes small GGUF files through llama.cpp's own writer.
public enum ModelWriter {
    /// Of the tiny models: states, and the inside of their feed-forward networks.
    public static let (width, hidden) = (32, 64)
    private static let heads = Shape.plain.heads

    /// Chat templates of small tests.
    public enum Template: Sendable {
        case chatML
        /// Closes a turn with an end token and nothing behind it.
        case llama3

        var markers: [String] {
            switch self {
            case .chatML: ["<|im_start|>", "<|im_end|>"]
            case .llama3: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
            }
        }

        /// In Jinja.
        public var text: String {
            switch self {
            case .chatML:
                "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
                    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
            case .llama3:
                "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' "
                    + "+ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
                    + "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
            }
        }
    }

    /// What a tiny llama is made of.
    public struct Shape: Codable, Sendable {
        public let layers: Int
        /// Heads of attention, and those of keys and values that they share.
        public let heads: Int
        public let keyValueHeads: Int
        /// What the logits of a random model are multiplied by.
        public let sharpness: Float
        /// What the end token's logits are multiplied by beyond that, so that texts end now and then.
        public let endSharpness: Float

        /// One layer, and distributions that leave many tokens possible.
        public static let plain = Shape(layers: 1, heads: 2, keyValueHeads: 2, sharpness: 1, endSharpness: 1)
        /// Two layers, grouped heads, and logits so far apart that rounding decides no choice.
        public static let sharp = Shape(layers: 2, heads: 4, keyValueHeads: 2, sharpness: 2, endSharpness: 1.4)
    }

    /// A random llama of width 32 over byte tokens, with 32-bit weights and a ChatML template: loads in milliseconds.
    ///
    /// - Parameters:
    ///   - template: brings its markers into the vocabulary.
    ///   - chatTemplate: written into the file instead of the template's own source.
    /// - Returns: the weights, by the names of their tensors.
    @discardableResult
    public static func tinyModel(
        to url: URL, seed: UInt64 = 1, architecture: String = "llama", vocabularyPadding: Int = 0,
        template: Template = .chatML, chatTemplate: String? = nil, poolingType: UInt32? = nil, shape: Shape = .plain
    ) throws -> [String: [Float]] {
        let tokens = RandomLlama.vocabulary(padding: vocabularyPadding, markers: template.markers)
        return try write(to: url) { file, tensors in
            RandomLlama.describe(
                RandomLlama.Shape(
                    width: width, hidden: hidden, layers: shape.layers, heads: shape.heads,
                    keyValueHeads: shape.keyValueHeads, contextLength: 512), name: "tiny", architecture: architecture,
                fileType: UInt32(LLAMA_FTYPE_ALL_F32.rawValue), tokens: tokens,
                chatTemplate: chatTemplate ?? template.text, in: file)
            if let poolingType { gguf_set_val_u32(file, "\(architecture).pooling_type", poolingType) }
            tensors.add("token_embd.weight", [width, tokens.count], seed: seed)
            tensors.add("output.weight", [width, tokens.count], seed: seed + 1, scale: shape.sharpness)
            tensors.multiply("output.weight", elements: 2 * width..<3 * width, by: shape.endSharpness)
            tensors.add("output_norm.weight", [width], constant: 1)
            for layer in 0..<shape.layers {
                let (block, seed) = ("blk.\(layer)", seed + 100 * UInt64(layer))
                tensors.add("\(block).attn_norm.weight", [width], constant: 1)
                tensors.add("\(block).ffn_norm.weight", [width], constant: 1)
                for (index, name) in ["attn_q", "attn_k", "attn_v", "attn_output"].enumerated() {
                    let isShared = name == "attn_k" || name == "attn_v"
                    let rows = isShared ? width / shape.heads * shape.keyValueHeads : width
                    tensors.add("\(block).\(name).weight", [width, rows], seed: seed + 10 + UInt64(index))
                }
                tensors.add("\(block).ffn_gate.weight", [width, hidden], seed: seed + 20)
                tensors.add("\(block).ffn_up.weight", [width, hidden], seed: seed + 21)
                tensors.add("\(block).ffn_down.weight", [hidden, width], seed: seed + 22)
            }
        }
    }

    /// A random encoder with a classifier on top: BERT of one layer, over letters.
    ///
    /// - Parameter labels: names of the classes; one unnamed number when empty.
    /// - Returns: the weights, by the names of their tensors.
    @discardableResult
    public static func tinyClassifier(to url: URL, seed: UInt64 = 1, labels: [String] = []) throws -> [String: [Float]]
    {
        var tokens: [(text: String, type: Int32)] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map { ($0, 3) }
        for letter in "abcdefghijklmnopqrstuvwxyz" { tokens += [("▁\(letter)", 1), ("\(letter)", 1)] }
        return try write(to: url) { file, tensors in
            gguf_set_val_str(file, "general.architecture", "bert")
            gguf_set_val_str(file, "general.name", "tiny classifier")
            gguf_set_val_u32(file, "bert.block_count", 1)
            gguf_set_val_u32(file, "bert.context_length", 64)
            gguf_set_val_u32(file, "bert.embedding_length", UInt32(width))
            gguf_set_val_u32(file, "bert.feed_forward_length", UInt32(hidden))
            gguf_set_val_u32(file, "bert.attention.head_count", UInt32(heads))
            gguf_set_val_f32(file, "bert.attention.layer_norm_epsilon", 1e-12)
            gguf_set_val_bool(file, "bert.attention.causal", false)
            gguf_set_val_u32(file, "bert.pooling_type", 4)
            gguf_set_val_str(file, "tokenizer.ggml.model", "bert")
            gguf_set_val_u32(file, "tokenizer.ggml.token_type_count", 2)
            gguf_set_val_u32(file, "tokenizer.ggml.bos_token_id", 2)
            gguf_set_val_u32(file, "tokenizer.ggml.seperator_token_id", 3)
            gguf_set_val_u32(file, "tokenizer.ggml.unknown_token_id", 1)
            gguf_set_val_u32(file, "tokenizer.ggml.padding_token_id", 0)
            RandomLlama.set(tokens, in: file)
            if !labels.isEmpty { RandomLlama.set(labels, "bert.classifier.output_labels", in: file) }
            tensors.add("token_embd.weight", [width, tokens.count], seed: seed)
            tensors.add("token_types.weight", [width, 2], seed: seed + 1)
            tensors.add("position_embd.weight", [width, 64], seed: seed + 2)
            var next = seed + 3
            func layer(_ name: String, _ shape: [Int]) {
                tensors.add("\(name).weight", shape, seed: next)
                tensors.add("\(name).bias", [shape[shape.count - 1]], seed: next + 1)
                next += 2
            }
            for name in ["token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"] {
                layer(name, [width])
            }
            for name in ["attn_q", "attn_k", "attn_v", "attn_output"] { layer("blk.0.\(name)", [width, width]) }
            layer("blk.0.ffn_up", [width, hidden])
            layer("blk.0.ffn_down", [hidden, width])
            layer("cls", [width, width])
            layer("cls.output", [width, max(1, labels.count)])
        }
    }

    /// What tests' own Python, from the models' definitions, makes of texts of tokens: `head` on the last state of a
    /// "llama", its logits behind the last token where there is no head, or the outputs of a "bert".
    public static func reference(
        _ kind: String, weights: [String: [Float]], tokens: [[Token]], head: [Float] = [], shape: Shape = .plain
    ) throws -> [[Double]] {
        struct Problem: Encodable {
            let kind: String
            let tokens: [[Token]]
            let weights: [String: [Float]]
            let head: [Float]
            let width: Int
            let hidden: Int
            let shape: Shape
        }
        let problem = Problem(
            kind: kind, tokens: tokens, weights: weights, head: head, width: width, hidden: hidden, shape: shape)
        let folder = try TemporaryFolder()
        try JSONEncoder().encode(problem).write(to: folder.file("problem.json"))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "python3", URL(filePath: #filePath).deletingLastPathComponent().appending(path: "reference.py").path,
        ]
        process.standardInput = try FileHandle(forReadingFrom: folder.file("problem.json"))
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        if let lists = try? JSONDecoder().decode([[Double]].self, from: data) { return lists }  // or else numbers
        return try JSONDecoder().decode([Double].self, from: data).map { [$0] }
    }

    /// A LoRA adapter of rank 4 on the first layer's query projection. With `scale` 0 it changes nothing.
    public static func adapter(to url: URL, width: Int, outputWidth: Int, scale: Float) throws {
        try write(to: url) { file, tensors in
            gguf_set_val_str(file, "general.type", "adapter")
            gguf_set_val_str(file, "general.architecture", "llama")
            gguf_set_val_str(file, "adapter.type", "lora")
            gguf_set_val_f32(file, "adapter.lora.alpha", 4)
            tensors.add("blk.0.attn_q.weight.lora_a", [width, 4], seed: 1)
            tensors.add("blk.0.attn_q.weight.lora_b", [4, outputWidth], seed: 2, scale: scale)
        }
    }

    /// Collects the tensors of a file.
    public final class Tensors {
        fileprivate let context: OpaquePointer
        fileprivate let file: OpaquePointer
        fileprivate var values: [String: [Float]] = [:]

        fileprivate init(context: OpaquePointer, file: OpaquePointer) {
            self.context = context
            self.file = file
        }

        func add(_ name: String, _ shape: [Int], seed: UInt64 = 0, scale: Float = 1, constant: Float? = nil) {
            let extents = shape.map { Int64($0) }
            guard let tensor = ggml_new_tensor(context, GGML_TYPE_F32, Int32(shape.count), extents) else { return }
            ggml_set_name(tensor, name)
            let count = shape.reduce(1, *)
            let values = tensor.pointee.data.assumingMemoryBound(to: Float.self)
            let noise = Noise(seed: seed)
            for index in 0..<count {
                values[index] = constant ?? scale * Float(noise.derived(index).uniform - 0.5)
            }
            self.values[name] = Array(UnsafeBufferPointer(start: values, count: count))
            gguf_add_tensor(file, tensor)
        }

        /// Changes some elements of a tensor that was added.
        func multiply(_ name: String, elements: Range<Int>, by factor: Float) {
            guard let tensor = ggml_get_tensor(context, name) else { return }
            let values = tensor.pointee.data.assumingMemoryBound(to: Float.self)
            for index in elements {
                values[index] *= factor
                self.values[name]?[index] = values[index]
            }
        }
    }

    @discardableResult
    private static func write(
        to url: URL, _ fill: (OpaquePointer, Tensors) throws -> Void
    ) throws -> [String: [Float]] {
        let size = 64 << 20
        guard let file = gguf_init_empty(),
            let context = ggml_init(ggml_init_params(mem_size: size, mem_buffer: nil, no_alloc: false))
        else { throw CocoaError(.fileWriteUnknown) }
        defer {
            gguf_free(file)
            ggml_free(context)
        }
        let tensors = Tensors(context: context, file: file)
        try fill(file, tensors)
        guard gguf_write_to_file(file, url.path, false) else { throw CocoaError(.fileWriteUnknown) }
        return tensors.values
    }
}
