import ArgumentParser
import CLlama
import Foundation
import TransferQConsole
import TransferQRandomModels

/// A llama of random weights: it computes at the speed of a trained model of its shape.
struct RandomModel {
    /// Formats of weights.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case q4 = "q4_0"
        case q8 = "q8_0"
        case f16

        var ggml: (tensor: ggml_type, file: llama_ftype) {
            switch self {
            case .q4: (GGML_TYPE_Q4_0, LLAMA_FTYPE_MOSTLY_Q4_0)
            case .q8: (GGML_TYPE_Q8_0, LLAMA_FTYPE_MOSTLY_Q8_0)
            case .f16: (GGML_TYPE_F16, LLAMA_FTYPE_MOSTLY_F16)
            }
        }
    }

    let shape: RandomLlama.Shape
    let format: Format
    /// Tokens of the vocabulary.
    let vocabulary: Int

    private struct Tensor {
        let name: String
        let extents: [Int]
        var count: Int { extents.reduce(1, *) }
    }

    /// The model whose number of weights is nearest to `parameters`, in the proportions of Llama 2.
    init(parameters: Int, format: Format) {
        let vocabulary = parameters < 100_000_000 ? 2_048 : 32_000
        let widths = stride(from: 64, through: 32_768, by: 64).filter { $0 < 1024 || $0 % 128 == 0 }
        let models = widths.map { width in
            let headWidth = width < 128 ? 32 : width < 1024 ? 64 : 128
            let shape = RandomLlama.Shape(
                width: width, hidden: (8 * width / 3 + 63) / 64 * 64, layers: max(2, (width + 64) / 128),
                heads: width / headWidth, keyValueHeads: width / headWidth, contextLength: 4096)
            return RandomModel(shape: shape, format: format, vocabulary: vocabulary)
        }
        self = models.min { abs($0.parameters - parameters) < abs($1.parameters - parameters) } ?? models[0]
    }

    private init(shape: RandomLlama.Shape, format: Format, vocabulary: Int) {
        self.shape = shape
        self.format = format
        self.vocabulary = vocabulary
    }

    /// Number of weights.
    var parameters: Int { tensors.reduce(0) { $0 + $1.count } }

    /// Of the file, its keys not counted.
    var bytes: Int {
        let (type, _) = format.ggml
        return parameters * ggml_type_size(type) / Int(ggml_blck_size(type))
    }

    private var tensors: [Tensor] {
        let (width, hidden) = (shape.width, shape.hidden)
        let block = [
            ("attn_norm", [width]), ("ffn_norm", [width]), ("attn_q", [width, width]), ("attn_k", [width, width]),
            ("attn_v", [width, width]), ("attn_output", [width, width]), ("ffn_gate", [width, hidden]),
            ("ffn_up", [width, hidden]), ("ffn_down", [hidden, width]),
        ]
        let outer = [
            Tensor(name: "token_embd.weight", extents: [width, vocabulary]),
            Tensor(name: "output.weight", extents: [width, vocabulary]),
            Tensor(name: "output_norm.weight", extents: [width]),
        ]
        return outer
            + (0..<shape.layers).flatMap { layer in
                block.map { Tensor(name: "blk.\(layer).\($0.0).weight", extents: $0.1) }
            }
    }

    /// Writes the file piece by piece, so that the model is never in memory as a whole. It appears under its name when it is
    /// complete.
    ///
    /// - Throws: `UsageError` where it cannot be written; `CancellationError`.
    func write(to path: String) throws {
        let partial = path + ".partial"
        defer { unlink(partial) }
        let tensors = tensors
        guard let file = gguf_init_empty(),
            let context = ggml_init(
                ggml_init_params(
                    mem_size: (tensors.count + 1) * ggml_tensor_overhead(), mem_buffer: nil, no_alloc: true))
        else { throw UsageError("llama.cpp has no memory for the header of a model; end other programs") }
        defer {
            gguf_free(file)
            ggml_free(context)
        }
        let plain = RandomLlama.vocabulary(padding: 0).count
        let tokens = RandomLlama.vocabulary(padding: vocabulary - plain)
        RandomLlama.describe(
            shape, name: "random", fileType: format.ggml.file.rawValue,
            tokens: tokens, chatTemplate: Self.template, in: file)
        var weights: [(tensor: UnsafeMutablePointer<ggml_tensor>, source: Tensor)] = []
        for tensor in tensors {
            let type = tensor.extents.count == 1 ? GGML_TYPE_F32 : format.ggml.tensor
            let extents = tensor.extents.map { Int64($0) }
            guard let made = ggml_new_tensor(context, type, Int32(extents.count), extents) else { continue }
            ggml_set_name(made, tensor.name)
            gguf_add_tensor(file, made)
            weights.append((made, tensor))
        }
        do {
            guard gguf_write_to_file(file, partial, true), let output = FileHandle(forWritingAtPath: partial) else {
                throw CocoaError(.fileWriteUnknown)
            }
            try output.seekToEnd()
            var bits = RandomBits()
            for (index, (tensor, source)) in weights.enumerated() {
                try write(source, bytes: ggml_nbytes(tensor), to: output, &bits)
                Console.progress("tensor \(index + 1) of \(weights.count)")
            }
            Console.progress("")
            try output.close()
            guard rename(partial, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
        } catch let error as CocoaError {
            throw UsageError(
                "\(path) cannot be written (\(error.localizedDescription)); it takes \(bytes / 1_000_000) MB, "
                    + "TRANSFERQ_CACHE names another folder")
        }
    }

    /// A turn a line.
    private static let template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"

    /// Bytes that are written at once, a multiple of every format's block.
    private static let piece = 18 * 34 * 4096

    private func write(_ tensor: Tensor, bytes: Int, to output: FileHandle, _ bits: inout RandomBits) throws {
        // A tensor begins at a multiple of this.
        let alignment = Int(GGUF_DEFAULT_ALIGNMENT)
        guard tensor.extents.count > 1 else {
            // Norms multiply by 1.
            let ones = [Float](repeating: 1, count: tensor.count).withUnsafeBytes { Data($0) }
            return try output.write(contentsOf: ones + Data(count: (alignment - ones.count % alignment) % alignment))
        }
        let scale = 1 / Float(tensor.extents[0]).squareRoot()
        var left = bytes
        while left > 0 {
            try Task.checkCancellation()
            var data = Data(count: min(left, Self.piece))
            data.withUnsafeMutableBytes { fill($0, scale: scale, &bits) }
            try output.write(contentsOf: data)
            left -= data.count
        }
        try output.write(contentsOf: Data(count: (alignment - bytes % alignment) % alignment))
    }

    /// - Parameter scale: the standard deviation of the weights.
    private func fill(_ bytes: UnsafeMutableRawBufferPointer, scale: Float, _ bits: inout RandomBits) {
        for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
            bytes.storeBytes(of: bits.next(), toByteOffset: offset, as: UInt64.self)
        }
        func half(_ value: Float) -> UInt16 { ggml_fp32_to_fp16(value) }
        switch format {
        case .f16:
            // A random sign and fraction, the exponent of the scale.
            let exponent = half(scale / 1.5) & 0x7C00
            for offset in stride(from: 0, to: bytes.count, by: 2) {
                let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self) & 0x83FF | exponent
                bytes.storeBytes(of: value, toByteOffset: offset, as: UInt16.self)
            }
        case .q4, .q8:
            // Blocks of 32 weights begin with what multiplies whole numbers: of 4 bits around 0, or of 8.
            let (size, spread): (Int, Float) = format == .q4 ? (18, 4.6) : (34, 74)
            for offset in stride(from: 0, to: bytes.count, by: size) {
                bytes.storeBytes(of: half(scale / spread), toByteOffset: offset, as: UInt16.self)
            }
        }
    }
}

/// SplitMix64: quick bits that only need to look random.
private struct RandomBits {
    private var state: UInt64 = 0

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
