import CLlama
import Foundation

/// What a GGUF file of a random llama holds besides weights, and which weights: tests and benchmarks fill them in.
package enum RandomLlama {
    /// What the model is made of.
    package struct Shape: Codable, Hashable, Sendable {
        /// Of states, and of the inside of feed-forward networks.
        package let width: Int
        package let hidden: Int
        package let layers: Int
        /// Heads of attention, and those of keys and values that they share.
        package let heads: Int
        package let keyValueHeads: Int
        package let contextLength: Int

        package init(
            width: Int, hidden: Int, layers: Int, heads: Int, keyValueHeads: Int, contextLength: Int
        ) {
            self.width = width
            self.hidden = hidden
            self.layers = layers
            self.heads = heads
            self.keyValueHeads = keyValueHeads
            self.contextLength = contextLength
        }
    }

    /// A token's text, and its type in llama.cpp's numbers.
    package typealias VocabularyEntry = (text: String, type: Int32)

    /// Bytes, the markers of a chat template, the letters, and as many more tokens as are wanted.
    package static func vocabulary(padding: Int, markers: [String] = []) -> [VocabularyEntry] {
        var tokens: [VocabularyEntry] = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
        tokens += (0..<256).map { ("<0x\($0 < 16 ? "0" : "")\(String($0, radix: 16, uppercase: true))>", 6) }
        tokens += markers.map { ($0, 3) } + [("▁", 1)]
        tokens += "abcdefghijklmnopqrstuvwxyz".map { (String($0), 1) }
        tokens += (0..<padding).map { ("pad\($0)", 1) }
        return tokens
    }

    /// Writes all keys into a file that is made.
    ///
    /// - Parameter fileType: a `LLAMA_FTYPE_…`.
    package static func describe(
        _ shape: Shape, name: String, architecture: String = "llama", fileType: UInt32, tokens: [VocabularyEntry],
        chatTemplate: String, in file: OpaquePointer
    ) {
        gguf_set_val_str(file, "general.architecture", architecture)
        gguf_set_val_str(file, "general.name", name)
        gguf_set_val_u32(file, "general.file_type", fileType)
        let sizes = [
            "block_count": shape.layers, "context_length": shape.contextLength, "embedding_length": shape.width,
            "feed_forward_length": shape.hidden, "attention.head_count": shape.heads,
            "attention.head_count_kv": shape.keyValueHeads, "rope.dimension_count": shape.width / shape.heads,
        ]
        for (key, size) in sizes.sorted(by: { $0.key < $1.key }) {
            gguf_set_val_u32(file, "\(architecture).\(key)", UInt32(size))
        }
        gguf_set_val_f32(file, "\(architecture).attention.layer_norm_rms_epsilon", 1e-5)
        gguf_set_val_str(file, "tokenizer.ggml.model", "llama")
        gguf_set_val_u32(file, "tokenizer.ggml.bos_token_id", 1)
        gguf_set_val_u32(file, "tokenizer.ggml.eos_token_id", 2)
        gguf_set_val_u32(file, "tokenizer.ggml.unknown_token_id", 0)
        gguf_set_val_str(file, "tokenizer.chat_template", chatTemplate)
        set(tokens, in: file)
    }

    package static func set(_ tokens: [VocabularyEntry], in file: OpaquePointer) {
        set(tokens.map(\.text), "tokenizer.ggml.tokens", in: file)
        let scores = tokens.map { _ in Float(-1) }
        gguf_set_arr_data(file, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores, scores.count)
        let types = tokens.map(\.type)
        gguf_set_arr_data(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types, types.count)
    }

    package static func set(_ texts: [String], _ key: String, in file: OpaquePointer) {
        let strings = texts.map { strdup($0) }
        defer { for string in strings { free(string) } }
        var pointers = strings.map { UnsafePointer($0) }
        gguf_set_arr_str(file, key, &pointers, pointers.count)
    }
}
