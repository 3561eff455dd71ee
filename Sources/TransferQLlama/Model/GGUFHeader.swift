import CLlama
import Foundation

/// The keys and tensors of a GGUF file, read without the tensors' data and without loading anything.
///
/// A model of several gigabytes takes milliseconds.
public final class GGUFHeader {
    /// What a file says of a tensor.
    public struct Tensor: Hashable, Sendable {
        public let name: String
        /// In ggml's order: the first extent is the one that lies together in memory.
        public let shape: [Int]
        /// Where the tensor's data ends, in bytes from the beginning of the file.
        public let end: Int
    }

    public let path: String
    public let tensors: [Tensor]
    /// Bytes of all tensors together.
    public let tensorBytes: Int
    private let pointer: OpaquePointer

    /// - Throws: ``LlamaError`` when there is no such file, or its header cannot be read.
    public init(_ path: String) throws {
        _ = LlamaLibrary.start
        try GGUFFile.check(path)
        LlamaLibrary.forgetLog()
        guard let pointer = gguf_init_from_file(path, gguf_init_params(no_alloc: true, ctx: nil)) else {
            throw LlamaError.damaged(
                path: path, reason: LlamaLibrary.firstComplaint(otherwise: "its header cannot be read"))
        }
        self.path = path
        self.pointer = pointer
        let start = gguf_get_data_offset(pointer)
        tensorBytes = (0..<gguf_get_n_tensors(pointer)).reduce(0) { sum, index in
            sum.addingReportingOverflow(Int(clamping: gguf_get_tensor_size(pointer, index))).partialValue
        }
        tensors = (0..<gguf_get_n_tensors(pointer)).map { index in
            let extents = gguf_get_tensor_ne(pointer, index)
            let shape = (0..<Int(GGML_MAX_DIMS)).map { Int(extents?[$0] ?? 1) }
            let (end, overflows) = start.addingReportingOverflow(gguf_get_tensor_offset(pointer, index))
            let (sum, overflowsMore) = end.addingReportingOverflow(gguf_get_tensor_size(pointer, index))
            return Tensor(
                name: String(cString: gguf_get_tensor_name(pointer, index)),
                shape: Array(shape.prefix(max(1, (shape.lastIndex { $0 != 1 } ?? 0) + 1))),
                end: overflows || overflowsMore ? .max : Int(clamping: sum))
        }
    }

    deinit { gguf_free(pointer) }

    /// The text of a key; nil without one, or where it is no text.
    public func text(_ key: String) -> String? {
        let index = gguf_find_key(pointer, key)
        // Asking for another type than the key has would end the process.
        guard index >= 0, gguf_get_kv_type(pointer, index) == GGUF_TYPE_STRING else { return nil }
        return String(cString: gguf_get_val_str(pointer, index))
    }

    /// The number of a key; nil without one, or where it is no number.
    public func number(_ key: String) -> Double? {
        let index = gguf_find_key(pointer, key)
        guard index >= 0 else { return nil }
        return switch gguf_get_kv_type(pointer, index) {
        case GGUF_TYPE_UINT8: Double(gguf_get_val_u8(pointer, index))
        case GGUF_TYPE_INT8: Double(gguf_get_val_i8(pointer, index))
        case GGUF_TYPE_UINT16: Double(gguf_get_val_u16(pointer, index))
        case GGUF_TYPE_INT16: Double(gguf_get_val_i16(pointer, index))
        case GGUF_TYPE_UINT32: Double(gguf_get_val_u32(pointer, index))
        case GGUF_TYPE_INT32: Double(gguf_get_val_i32(pointer, index))
        case GGUF_TYPE_UINT64: Double(gguf_get_val_u64(pointer, index))
        case GGUF_TYPE_INT64: Double(gguf_get_val_i64(pointer, index))
        case GGUF_TYPE_FLOAT32: Double(gguf_get_val_f32(pointer, index))
        case GGUF_TYPE_FLOAT64: gguf_get_val_f64(pointer, index)
        default: nil
        }
    }

    /// The whole numbers of a key; empty without any.
    public func numbers(_ key: String) -> [Double] {
        let index = gguf_find_key(pointer, key)
        guard index >= 0, gguf_get_kv_type(pointer, index) == GGUF_TYPE_ARRAY,
            let data = gguf_get_arr_data(pointer, index)
        else { return [] }
        let count = gguf_get_arr_n(pointer, index)
        switch gguf_get_arr_type(pointer, index) {
        case GGUF_TYPE_UINT32: return (0..<count).map { Double(data.assumingMemoryBound(to: UInt32.self)[$0]) }
        case GGUF_TYPE_INT32: return (0..<count).map { Double(data.assumingMemoryBound(to: Int32.self)[$0]) }
        default: return []
        }
    }

    /// The texts of a key; empty without any.
    public func texts(_ key: String) -> [String] {
        let index = gguf_find_key(pointer, key)
        guard index >= 0, gguf_get_kv_type(pointer, index) == GGUF_TYPE_ARRAY,
            gguf_get_arr_type(pointer, index) == GGUF_TYPE_STRING
        else { return [] }
        return (0..<gguf_get_arr_n(pointer, index)).map { String(cString: gguf_get_arr_str(pointer, index, $0)) }
    }

    public func hasTensor(_ name: String) -> Bool { gguf_find_tensor(pointer, name) >= 0 }

    /// What kind of file it is.
    public enum Kind: Sendable {
        /// Changes to the weights of a model, by themselves.
        case adapter
        /// A model that scores whole texts (rank pooling).
        case classifier
        /// Everything else.
        case model
    }

    public var kind: Kind {
        if text("general.type") == "adapter" || text("adapter.type") != nil { return .adapter }
        let pooling = number("\(architecture).pooling_type")
        return pooling == Double(LLAMA_POOLING_TYPE_RANK.rawValue) ? .classifier : .model
    }

    /// `general.architecture`, e.g. `llama`; empty when the file does not say.
    public var architecture: String { text("general.architecture") ?? "" }

    /// Whether the file holds what turns pooled states into scores: a layer of outputs, or a first layer with one output.
    ///
    /// Without it llama.cpp hands out the states themselves where scores are expected.
    public var hasClassificationHead: Bool {
        tensors.contains { $0.name == "cls.output.weight" || ($0.name == "cls.weight" && $0.shape.count == 1) }
    }

    /// Refuses a file that ends ahead of its last tensor.
    ///
    /// - Throws: ``LlamaError/damaged(path:reason:)``.
    public func checkExtents() throws {
        let needed = tensors.map(\.end).max() ?? 0
        let size = try GGUFFile.size(path)
        guard needed <= size else {
            throw LlamaError.damaged(
                path: path, reason: "it is cut: its tensors need \(needed) bytes and it has \(size)")
        }
    }
}
