public import TransferQ

/// The tokens 0 ..< size, token t written as "t " in a text.
public struct TabularTokenizer: Tokenizer {
    public let size: Int
    /// The token that ends a response; nil when only the length does.
    public let endToken: Token?

    public init(size: Int, endToken: Token?) {
        self.size = size
        self.endToken = endToken
    }

    public var fingerprint: String { "tabular-\(size)-\(endToken.map(String.init) ?? "none")" }

    public func isEnd(_ token: Token) -> Bool { token == endToken }

    public func bytes(of token: Token) -> [UInt8] { Array("\(token) ".utf8) }

    /// - Throws: ``TabularError/noWord(text:size:)`` for a text that is not made of words of the table, each with its blank.
    public func tokens(of text: String) throws -> [Token] {
        var tokens: [Token] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // Words end at a blank, so no word begins another one and the longest match is the only one.
            let word = rest.prefix { $0 != UInt8(ascii: " ") }
            guard let token = Token(String(decoding: word, as: UTF8.self)), (0..<Token(size)).contains(token),
                rest.starts(with: bytes(of: token))
            else { throw TabularError.noWord(text: String(decoding: rest, as: UTF8.self), size: size) }
            tokens.append(token)
            rest = rest.dropFirst(word.count + 1)
        }
        return tokens
    }
}
