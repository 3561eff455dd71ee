import CLlama
import Foundation

/// Weight formats to rewrite a model in: `q8_0` and `q4_0`, which llama.cpp has fast kernels for on common processors;
/// `bf16`, which processors with arithmetic for it roll out fastest in; and `f32`, whose arithmetic depends least on the
/// shape of a batch.
public enum Quantization: String, CaseIterable, Sendable {
    case q8 = "q8_0"
    case q4 = "q4_0"
    case bf16
    case f32

    private var fileType: llama_ftype {
        switch self {
        case .q8: LLAMA_FTYPE_MOSTLY_Q8_0
        case .q4: LLAMA_FTYPE_MOSTLY_Q4_0
        case .bf16: LLAMA_FTYPE_MOSTLY_BF16
        case .f32: LLAMA_FTYPE_ALL_F32
        }
    }

    /// `FILE@TYPE` → the file, and the format that its model is to be read in; nil where none is named, or a file has that
    /// very name.
    public static func split(_ name: String) -> (path: String, format: Quantization?) {
        guard let at = name.lastIndex(of: "@"),
            let format = Quantization(rawValue: String(name[name.index(after: at)...])),
            !FileManager.default.fileExists(atPath: name)
        else { return (name, nil) }
        return (String(name[..<at]), format)
    }

    /// `NAME.Q4_1.gguf` → `NAME.Q8_0.gguf`.
    public func fileName(for file: String) -> String {
        let stem = file.replacing(/\.gguf$/, with: "").replacing(/[.-](?:[Bb]?[Ff]|[Qq])[0-9][0-9A-Za-z_]*$/, with: "")
        return "\(stem).\(rawValue.uppercased()).gguf"
    }

    /// Writes `source` in this format to `target`, which appears complete or not at all, on a thread of its own.
    ///
    /// - Throws: ``LlamaError``, or ``StoreError/exists(path:)`` and ``StoreError/cannotWrite(path:reason:)``.
    public func requantize(_ source: String, to target: String) async throws {
        _ = LlamaLibrary.start
        try GGUFFile.check(source)
        guard !FileManager.default.fileExists(atPath: target) else { throw StoreError.exists(path: target) }
        let folder = URL(filePath: target).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw StoreError.cannotWrite(path: target, reason: "its folder is missing or closed to you")
        }
        let type = fileType
        // Its own name, so that two programs that make the same file do not write into each other's.
        let partial = "\(target).\(UUID().uuidString).partial"
        try await BlockingWork.run { _ in
            var parameters = llama_model_quantize_default_params()
            parameters.ftype = type
            parameters.allow_requantize = true
            LlamaLibrary.forgetLog()
            defer { unlink(partial) }
            guard llama_model_quantize(source, partial, &parameters) == 0 else {
                throw LlamaError.quantizationFailed(
                    path: source, reason: LlamaLibrary.firstComplaint(otherwise: "llama.cpp gave no reason"))
            }
            try Downloader.publish(partial, as: target)
        }
    }
}
