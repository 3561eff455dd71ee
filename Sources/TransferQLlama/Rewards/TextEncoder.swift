import CLlama
import Foundation
public import TransferQ

/// A sentence encoder in GGUF: texts become vectors of length 1 whose products tell how alike the texts are.
///
/// The vectors are means over the tokens, scaled to length 1, as sentence-transformers has them. What a text has beyond the
/// first 256 tokens is left out, as there.
public actor TextEncoder {
    public nonisolated let path: String
    /// Of a vector.
    public nonisolated let width: Int
    private let model: LlamaModel
    private let handle: ContextHandle
    private let threads: Int
    private let turn = Turn()
    /// Of a text, markers included: what the sentence-transformers of this kind are trained with.
    private let longest: Int
    private static let sequences = 64
    private static let batchSize = 2048

    /// - Throws: ``LlamaError`` for a file that is no encoder.
    public init(path: String, threads: Int? = nil) async throws {
        let model = try await LlamaModel(path: path, purpose: .embedding)
        self.path = path
        self.model = model
        width = model.width
        longest = min(256, model.contextLength)
        let ownThreads = InferenceLane.threads(wanted: threads)
        self.threads = ownThreads
        let configuration = LlamaContext.Configuration(
            cells: Self.batchSize, sequences: Self.sequences, threads: threads, attention: .precise)
        handle = try await InferenceLane.current.thread.run {
            try ContextHandle(
                model: model, configuration: configuration, batchSize: Self.batchSize, threads: ownThreads
            ) { parameters in
                parameters.embeddings = true
                parameters.pooling_type = LLAMA_POOLING_TYPE_MEAN
            }
        }
    }

    /// The product of two vectors of length 1: −1 to 1.
    public nonisolated static func cosine(_ left: [Float], _ right: [Float]) -> Double {
        zip(left, right).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    /// A vector of length 1 for each text, in order.
    ///
    /// - Throws: ``LlamaError/decodeFailed(code:reason:)``, `CancellationError`.
    public func embeddings(of texts: [String]) async throws -> [[Float]] {
        try await turn.take()
        defer { turn.pass() }
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            let lists = texts.map(tokens)
            var vectors: [[Float]] = []
            while vectors.count < lists.count {
                var size = 0
                let wave = lists[vectors.count...].prefix(Self.sequences).prefix { list in
                    size += list.count
                    return size <= Self.batchSize
                }
                vectors += try await encode(Array(wave), signal: signal)
            }
            return vectors
        } onCancel: {
            signal.raise()
        }
    }

    /// The tokens that a text is read as: between the markers of beginning and end.
    public func tokens(of text: String) -> [Token] {
        let vocabulary = llama_model_get_vocab(model.handle.pointer)
        let (start, end) = (llama_vocab_bos(vocabulary), llama_vocab_sep(vocabulary))
        let words = model.tokenizer.tokens(of: text).prefix(longest - 2)
        return (start >= 0 ? [start] : []) + words + (end >= 0 ? [end] : [])
    }

    private func encode(_ lists: [[Token]], signal: AbortSignal) async throws -> [[Float]] {
        try await handle.pool(lists, threads: threads, signal: signal, count: width).map { numbers in
            guard let vector = numbers else { throw LlamaError.notEncoder(path: path) }
            let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            guard length.isFinite, length > 0 else { throw LlamaError.logitsNotNumeric }
            return vector.map { Float(Double($0) / length) }
        }
    }
}
