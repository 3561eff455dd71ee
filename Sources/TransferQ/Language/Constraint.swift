/// Which next tokens an answer allows: a grammar, a schema, strings that end it. Rollouts obey it too.
///
/// It is asked once for every token that is about to be chosen, along a growing text, so it should take time in proportion
/// to the last token, not to the response. It may keep what it computed, but its answers depend on the tokens alone.
public protocol Constraint: Sendable {
    /// What may follow `response`, the answer's tokens from its first one on. Nobody asks behind an end token, or where the
    /// constraint itself has ended the response.
    func allowed(after response: ArraySlice<Token>) -> AllowedTokens
}

/// What a constraint allows as the next token.
public enum AllowedTokens: Sendable {
    case all
    /// Only these, end tokens included; an empty set is ``end``.
    case only(TokenSet)
    /// Nothing: the response ends here, without an end token.
    case end

    var isEnd: Bool {
        switch self {
        case .all: false
        case .only(let tokens): tokens.isEmpty
        case .end: true
        }
    }
}

extension Constraint {
    /// Whether the response ends behind `response` although it has no end token.
    public func ends(_ response: ArraySlice<Token>) -> Bool { allowed(after: response).isEnd }

    /// The tokens that may follow; nil where all may.
    package func tokens(after response: ArraySlice<Token>) -> TokenSet? {
        if case .only(let tokens) = allowed(after: response) { tokens } else { nil }
    }
}

/// A set of the tokens of one vocabulary, one bit each.
public struct TokenSet: Sendable {
    private var words: [UInt64]
    /// How many there are.
    public private(set) var count = 0

    /// - Parameters:
    ///   - tokens: those outside of the vocabulary are left out.
    ///   - size: of the vocabulary, in tokens.
    public init(_ tokens: some Sequence<Token>, size: Int) {
        words = [UInt64](repeating: 0, count: (max(0, size) + 63) / 64)
        for token in tokens where token >= 0 && token < size && !contains(token) {
            words[Int(token) / 64] |= 1 << (UInt64(token) % 64)
            count += 1
        }
    }

    public var isEmpty: Bool { count == 0 }

    public func contains(_ token: Token) -> Bool {
        guard token >= 0, Int(token) / 64 < words.count else { return false }
        return words[Int(token) / 64] >> (UInt64(token) % 64) & 1 == 1
    }
}
