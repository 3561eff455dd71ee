import CLlama
public import Foundation
import TransferQ
import TransferQLlama

/// Writes small GGUF files through llama.cpp's own writer.
public enum ModelWriter {
    /// A random llama of one layer and width 32 over byte tokens, with a ChatML template: loads in milliseconds.
    ///
    /// - Parameter changes: the last word on the file's metadata before it is written.
    public static func tinyModel(
        to url: URL, seed: UInt64 = 1, architecture: String = "llama", vocabularyPadding: Int = 0
    ) throws {
        let width = 32
        let hidden = 64
        let tokens = vocabulary(padding: vocabularyPadding)
        try write(to: url) { file, tensors in
            gguf_set_val_str(file, "general.architecture", architecture)
            gguf_set_val_str(file, "general.name", "tiny")
            gguf_set_val_u32(file, "\(architecture).block_count", 1)
            gguf_set_val_u32(file, "\(architecture).context_length", 512)
            gguf_set_val_u32(file, "\(architecture).embedding_length", UInt32(width))
            gguf_set_val_u32(file, "\(architecture).feed_forward_length", UInt32(hidden))
            gguf_set_val_u32(file, "\(architecture).attention.head_count", 2)
            gguf_set_val_u32(file, "\(architecture).attention.head_count_kv", 2)
            gguf_set_val_u32(file, "\(architecture).rope.dimension_count", 16)
            gguf_set_val_f32(file, "\(architecture).attention.layer_norm_rms_epsilon", 1e-5)
            gguf_set_val_str(file, "tokenizer.ggml.model", "llama")
            gguf_set_val_u32(file, "tokenizer.ggml.bos_token_id", 1)
            gguf_set_val_u32(file, "tokenizer.ggml.eos_token_id", 2)
            gguf_set_val_u32(file, "tokenizer.ggml.unknown_token_id", 0)
            gguf_set_val_str(
                file, "tokenizer.chat_template",
                "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] "
                    + "+ '<|im_end|>' + '\n'}}{% endfor %}")
            let strings = tokens.map { strdup($0.text) }
            defer { for string in strings { free(string) } }
            var pointers = strings.map { UnsafePointer($0) }
            gguf_set_arr_str(file, "tokenizer.ggml.tokens", &pointers, pointers.count)
            let scores = tokens.map { _ in Float(-1) }
            gguf_set_arr_data(file, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores, scores.count)
            let types = tokens.map(\.type)
            gguf_set_arr_data(file, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types, types.count)
            tensors.add("token_embd.weight", [width, tokens.count], seed: seed)
            tensors.add("output.weight", [width, tokens.count], seed: seed + 1)
            tensors.add("output_norm.weight", [width], constant: 1)
            tensors.add("blk.0.attn_norm.weight", [width], constant: 1)
            tensors.add("blk.0.ffn_norm.weight", [width], constant: 1)
            for (index, name) in ["attn_q", "attn_k", "attn_v", "attn_output"].enumerated() {
                tensors.add("blk.0.\(name).weight", [width, width], seed: seed + 10 + UInt64(index))
            }
            tensors.add("blk.0.ffn_gate.weight", [width, hidden], seed: seed + 20)
            tensors.add("blk.0.ffn_up.weight", [width, hidden], seed: seed + 21)
            tensors.add("blk.0.ffn_down.weight", [hidden, width], seed: seed + 22)
        }
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

    private static func vocabulary(padding: Int) -> [(text: String, type: Int32)] {
        var tokens: [(text: String, type: Int32)] = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
        tokens += (0..<256).map { (String(format: "<0x%02X>", $0), 6) }
        tokens += [("<|im_start|>", 3), ("<|im_end|>", 3), ("▁", 1)]
        tokens += "abcdefghijklmnopqrstuvwxyz".map { (String($0), 1) }
        tokens += (0..<padding).map { ("pad\($0)", 1) }
        return tokens
    }

    /// Collects the tensors of a file.
    public final class Tensors {
        fileprivate let context: OpaquePointer
        fileprivate let file: OpaquePointer

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
            gguf_add_tensor(file, tensor)
        }
    }

    private static func write(to url: URL, _ fill: (OpaquePointer, Tensors) throws -> Void) throws {
        let size = 64 << 20
        guard let file = gguf_init_empty(),
            let context = ggml_init(ggml_init_params(mem_size: size, mem_buffer: nil, no_alloc: false))
        else { throw CocoaError(.fileWriteUnknown) }
        defer {
            gguf_free(file)
            ggml_free(context)
        }
        try fill(file, Tensors(context: context, file: file))
        guard gguf_write_to_file(file, url.path, false) else { throw CocoaError(.fileWriteUnknown) }
    }
}
