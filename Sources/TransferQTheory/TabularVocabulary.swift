public import TransferQ

/// The tokens 0 ..< size, token t written as "t " in a text.
public struct TabularVocabulary: Vocabulary {
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
}
