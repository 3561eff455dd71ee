import CLlama

/// How models are loaded and how their contexts keep what they decoded; llama.cpp's own default where nil.
public struct LlamaOptions: Hashable, Sendable {
    /// Layers that a graphics processor computes, ≥ 0; all of them where nil.
    public let gpuLayers: Int?
    /// Longest prompt with its answer, in tokens; what the model was trained on where nil, or where that is shorter.
    public let contextLength: Int?
    /// The format of keys and values; what suits the attention where nil (see ``LlamaContext/Attention``).
    public let cacheType: CacheType?

    /// Formats of keys and values. Fewer bits take less memory and are less exact.
    public enum CacheType: String, CaseIterable, Sendable {
        case f32, f16, bf16
        case q8 = "q8_0"
        case q5 = "q5_0"
        case q4 = "q4_0"

        var ggml: ggml_type {
            switch self {
            case .f32: GGML_TYPE_F32
            case .f16: GGML_TYPE_F16
            case .bf16: GGML_TYPE_BF16
            case .q8: GGML_TYPE_Q8_0
            case .q5: GGML_TYPE_Q5_0
            case .q4: GGML_TYPE_Q4_0
            }
        }

        /// Whether numbers share a scale: llama.cpp then computes attention in one way only.
        var isQuantized: Bool {
            switch self {
            case .f32, .f16, .bf16: false
            case .q8, .q5, .q4: true
            }
        }

        /// Bytes of one number, scales included.
        var bytes: Double {
            let type = ggml
            return Double(ggml_type_size(type)) / Double(ggml_blck_size(type))
        }
    }

    /// - Throws: ``LlamaError/badOption(name:value:requirement:)``.
    public init(gpuLayers: Int? = nil, contextLength: Int? = nil, cacheType: CacheType? = nil) throws {
        if let gpuLayers, !(0...10_000).contains(gpuLayers) {
            throw LlamaError.badOption(name: "gpu-layers", value: "\(gpuLayers)", requirement: "between 0 and 10000")
        }
        if let contextLength, !(2...(1 << 24)).contains(contextLength) {
            throw LlamaError.badOption(
                name: "context", value: "\(contextLength)", requirement: "between 2 and \(1 << 24) tokens")
        }
        self.gpuLayers = gpuLayers
        self.contextLength = contextLength
        self.cacheType = cacheType
    }

    /// Refuses a format of keys and values whose blocks do not divide an attention head of so many numbers.
    func check(headWidth: Int) throws {
        guard let cacheType, headWidth % Int(ggml_blck_size(cacheType.ggml)) != 0 else { return }
        throw LlamaError.badOption(
            name: "cache-type", value: cacheType.rawValue,
            requirement: "f32, f16 or bf16 for a model whose attention heads have \(headWidth) numbers each")
    }

    /// What tells them from others; nothing for the standard ones.
    var key: String {
        let layers = gpuLayers.map { "layers \($0)" }
        let type = cacheType.map { "cache \($0.rawValue)" }
        return [layers, type].compactMap { $0 }.joined(separator: " ")
    }

    private init() {
        gpuLayers = nil
        contextLength = nil
        cacheType = nil
    }

    /// All as llama.cpp has it.
    public static let standard = LlamaOptions()
}
