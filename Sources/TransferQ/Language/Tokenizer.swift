/// An id in one vocabulary. Ids of different vocabularies must never meet: see ``Tokenizer/fingerprint``.
public typealias Token = Int32

/// Text ↔ tokens ↔ bytes of one vocabulary: what the decoder needs to know of a model's tokens.
public protocol Tokenizer: Sendable {
    /// Number of tokens; valid ids are 0 ..< size.
    var size: Int { get }

    /// Equal exactly when two tokenizers give every id the same meaning.
    var fingerprint: String { get }

    /// Whether the token ends a response.
    func isEnd(_ token: Token) -> Bool

    /// The UTF-8 bytes that the token adds to a text; none for control tokens. One token may hold a part of a
    /// character.
    func bytes(of token: Token) -> [UInt8]

    /// The tokens of a text, read as plain text: what it spells of special tokens counts as the letters that it is written
    /// in.
    ///
    /// - Throws: the tokenizer's own error for a text that it has no tokens for.
    func tokens(of text: String) throws -> [Token]
}

extension Tokenizer {
    /// The text of a response. A character that the last token leaves unfinished is left out; bytes that are no UTF-8
    /// become U+FFFD.
    public func text(of tokens: some Sequence<Token>) -> String {
        var stream = TextStream()
        return stream.append(tokens.filter { !isEnd($0) }.flatMap(bytes))
    }
}

/// Turns bytes that arrive in pieces into text, never in the middle of a character.
public struct TextStream: Sendable {
    private var pending: [UInt8] = []

    public init() {}

    /// Takes more bytes and returns the text that they complete.
    public mutating func append(_ bytes: [UInt8]) -> String {
        pending += bytes
        let complete = pending.count - Self.unfinishedTail(of: pending)
        let text = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeFirst(complete)
        return text
    }

    /// Ends the text: what was left unfinished, as U+FFFD, or nothing.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// Number of bytes at the end that may still become a character.
    private static func unfinishedTail(of bytes: [UInt8]) -> Int {
        for back in 1...3 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            if byte & 0b1100_0000 == 0b1000_0000 { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > back ? back : 0
        }
        return 0
    }
}
