import CLlama
import Foundation
public import TransferQ
import TransferQDigest

/// A GGUF model's tokens, copied out of llama.cpp so that they can be read from anywhere.
public struct LlamaTokenizer: Tokenizer {
    public let size: Int
    public let fingerprint: String

    /// The bytes of all tokens, one after the other; token t has `bytes[offsets[t]..<offsets[t + 1]]`.
    private let bytes: [UInt8]
    private let offsets: [Int]
    private let ends: Set<Token>
    /// Tokens that mean something to the model rather than being text, by what a template writes for them.
    let markers: [String: Token]
    private let markerTexts: [Token: String]
    /// Keeps llama.cpp's vocabulary, which cuts texts.
    private let model: ModelHandle

    init(_ vocabulary: OpaquePointer, of model: ModelHandle) {
        self.model = model
        size = Int(llama_vocab_n_tokens(vocabulary))
        var hash = SHA256()
        var bytes: [UInt8] = []
        var offsets = [0]
        var ends: Set<Token> = []
        var markers: [String: Token] = [:]
        bytes.reserveCapacity(size * 8)
        offsets.reserveCapacity(size + 1)
        for token in 0..<Token(size) {
            bytes += Self.piece(of: token, in: vocabulary)
            offsets.append(bytes.count)
            let text = llama_vocab_get_text(vocabulary, token).map { String(cString: $0) } ?? ""
            if llama_vocab_is_eog(vocabulary, token) { ends.insert(token) }
            if Self.isMarker(token, text: text, in: vocabulary) { markers[text] = token }
            hash.update(data: Array(text.utf8) + [0, ends.contains(token) ? 1 : 0])
        }
        self.bytes = bytes
        self.offsets = offsets
        self.ends = ends
        self.markers = markers
        markerTexts = Dictionary(markers.map { ($0.value, $0.key) }, uniquingKeysWith: min)
        fingerprint = hash.finalize().hexadecimal
    }

    public func isEnd(_ token: Token) -> Bool { ends.contains(token) }

    /// Whether a token means something to the model rather than being text, such as the end of a turn.
    public func isSpecial(_ token: Token) -> Bool { markerTexts[token] != nil }

    /// How a token is written: what a template writes for a special one, else its text.
    public func text(of token: Token) -> String {
        markerTexts[token] ?? String(decoding: bytes(of: token), as: UTF8.self)
    }

    public func bytes(of token: Token) -> [UInt8] {
        guard token >= 0, token < size else { return [] }
        return Array(bytes[offsets[Int(token)]..<offsets[Int(token) + 1]])
    }

    /// Tokens of a text that holds no special token, even where it spells one.
    ///
    /// Some vocabularies list their markers as "user defined", which llama.cpp finds in plain text as well. Cutting the
    /// text inside such a marker leaves it as the letters it is written in.
    public func tokens(of text: String) -> [Token] {
        let tokens = tokenized(text)
        let spelled = markers.filter { tokens.contains($0.value) }
        guard !spelled.isEmpty else { return tokens }
        let bytes = Array(text.utf8)
        var cuts: Set<Int> = []
        for marker in spelled.keys.map({ Array($0.utf8) }) where marker.count > 1 && marker.count <= bytes.count {
            for start in 0...(bytes.count - marker.count)
            where bytes[start..<(start + marker.count)].elementsEqual(marker) {
                // Behind the first letter, which in a marker is one byte.
                cuts.insert(start + 1)
            }
        }
        var start = 0
        return (cuts.sorted() + [bytes.count]).flatMap { end in
            defer { start = end }
            return tokenized(String(decoding: bytes[start..<end], as: UTF8.self))
        }
    }

    private func tokenized(_ text: String) -> [Token] {
        let vocabulary = llama_model_get_vocab(model.pointer)
        let length = Int32(text.utf8.count)
        var tokens = [Token](repeating: 0, count: Int(length) + 8)
        var count = llama_tokenize(vocabulary, text, length, &tokens, Int32(tokens.count), false, false)
        if count < 0, count > Int32.min {
            tokens = [Token](repeating: 0, count: Int(-count))
            count = llama_tokenize(vocabulary, text, length, &tokens, -count, false, false)
        }
        return Array(tokens.prefix(Int(max(0, count))))
    }

    /// Control tokens are markers; so are "user defined" ones that look like one (others are runs of spaces and such).
    private static func isMarker(_ token: Token, text: String, in vocabulary: OpaquePointer) -> Bool {
        let attributes = llama_vocab_get_attr(vocabulary, token).rawValue
        if attributes & LLAMA_TOKEN_ATTR_CONTROL.rawValue != 0 { return !text.isEmpty }
        guard attributes & LLAMA_TOKEN_ATTR_USER_DEFINED.rawValue != 0 else { return false }
        return (text.hasPrefix("<") && text.hasSuffix(">")) || (text.hasPrefix("[") && text.hasSuffix("]"))
    }

    /// Control tokens have no text.
    private static func piece(of token: Token, in vocabulary: OpaquePointer) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 64)
        var length = llama_token_to_piece(vocabulary, token, &buffer, Int32(buffer.count), 0, false)
        if length < 0 {
            buffer = [CChar](repeating: 0, count: Int(-length))
            length = llama_token_to_piece(vocabulary, token, &buffer, Int32(buffer.count), 0, false)
        }
        return buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }
    }
}
