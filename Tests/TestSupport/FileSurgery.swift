import CLlama
public import Foundation
import TransferQ

/// GGUF files that lack or have what others do not.
extension ModelWriter {
    /// A copy of a file without some of its tensors.
    public static func copy(_ source: URL, to target: URL, without names: Set<String>) throws {
        var context: OpaquePointer?
        let read = withUnsafeMutablePointer(to: &context) {
            gguf_init_from_file(source.path, gguf_init_params(no_alloc: false, ctx: $0))
        }
        guard let old = read, let new = gguf_init_empty() else { throw CocoaError(.fileReadCorruptFile) }
        defer {
            gguf_free(old)
            gguf_free(new)
            ggml_free(context)
        }
        gguf_set_kv(new, old)
        for index in 0..<gguf_get_n_tensors(old) {
            guard let name = gguf_get_tensor_name(old, index), !names.contains(String(cString: name)) else { continue }
            gguf_add_tensor(new, ggml_get_tensor(context, name))
        }
        guard gguf_write_to_file(new, target.path, false) else { throw CocoaError(.fileWriteUnknown) }
    }

    /// A LoRA adapter for a "llama" with tensors of any names and shapes, filled with small random numbers.
    public static func adapter(to url: URL, tensors: [(name: String, shape: [Int])]) throws {
        guard let file = gguf_init_empty(),
            let context = ggml_init(ggml_init_params(mem_size: 16 << 20, mem_buffer: nil, no_alloc: false))
        else { throw CocoaError(.fileWriteUnknown) }
        defer {
            gguf_free(file)
            ggml_free(context)
        }
        gguf_set_val_str(file, "general.type", "adapter")
        gguf_set_val_str(file, "general.architecture", "llama")
        gguf_set_val_str(file, "adapter.type", "lora")
        gguf_set_val_f32(file, "adapter.lora.alpha", 4)
        for (place, (name, shape)) in tensors.enumerated() {
            guard let tensor = ggml_new_tensor(context, GGML_TYPE_F32, Int32(shape.count), shape.map { Int64($0) })
            else { throw CocoaError(.fileWriteUnknown) }
            ggml_set_name(tensor, name)
            let values = tensor.pointee.data.assumingMemoryBound(to: Float.self)
            let noise = Noise(seed: UInt64(place))
            for index in 0..<shape.reduce(1, *) { values[index] = Float(noise.derived(index).uniform - 0.5) }
            gguf_add_tensor(file, tensor)
        }
        guard gguf_write_to_file(file, url.path, false) else { throw CocoaError(.fileWriteUnknown) }
    }

    /// The two tensors of a LoRA pair of rank 2 on a weight.
    public static func pair(_ weight: String, inputs: Int, outputs: Int) -> [(name: String, shape: [Int])] {
        [(weight + ".lora_a", [inputs, 2]), (weight + ".lora_b", [2, outputs])]
    }
}
