/// Ends an answer before any of some strings: what is shown and rewarded has none of them in it.
///
/// Strings are looked for in the bytes of the text, so tokens may cut them anywhere, inside a character too. The tokens that
/// complete one belong to the decoder's response; the text ends where the string begins.
public struct StopStrings: Constraint {
    public let strings: [String]
    private let patterns: [[UInt8]]
    private let longest: Int
    private let tokenizer: any Tokenizer

    /// - Parameter tokenizer: that of the policies.
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` for an empty string, or none.
    public init(_ strings: [String], tokenizer: any Tokenizer) throws {
        try Self.check(strings.isEmpty ? [""] : strings)
        self.strings = strings
        patterns = strings.map { Array($0.utf8) }
        longest = patterns.map(\.count).max() ?? 0
        self.tokenizer = tokenizer
    }

    /// Checks strings ahead of any tokenizer.
    ///
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` for an empty one.
    public static func check(_ strings: [String]) throws {
        guard !strings.contains(where: \.isEmpty) else {
            throw TransferQError.invalidParameter(
                name: "stop", value: "\"\"", requirement: "a text of at least one character")
        }
    }

    /// The response ends with the token that completes a string.
    public func allowed(after response: ArraySlice<Token>) -> AllowedTokens {
        guard let last = response.last else { return .all }
        var bytes = bytes(of: last)
        let new = bytes.count
        guard new > 0 else { return .all }
        // Whatever ended before the last token was found when it did.
        var rest = response.dropLast()
        while bytes.count < new + longest - 1, let token = rest.popLast() { bytes = self.bytes(of: token) + bytes }
        let hit = (bytes.count - new + 1...bytes.count).contains { end in
            patterns.contains { $0.count <= end && bytes[(end - $0.count)..<end].elementsEqual($0) }
        }
        return hit ? .end : .all
    }

    private func bytes(of token: Token) -> [UInt8] { tokenizer.isEnd(token) ? [] : tokenizer.bytes(of: token) }

    /// Where the first string begins that a text holds; nil without one. Of those that are complete with the same byte, the
    /// one that begins first: the text that is kept has a part of none.
    func firstStop(in text: [UInt8]) -> Int? {
        for end in stride(from: 1, through: text.count, by: 1) {
            if let length = patterns.filter({ text[..<end].ends(with: $0) }).map(\.count).max() { return end - length }
        }
        return nil
    }

    /// How many bytes at the end of a text, which holds none of the strings, may be the beginning of one.
    func heldBack(of text: ArraySlice<UInt8>) -> Int {
        for length in stride(from: min(longest - 1, text.count), to: 0, by: -1)
        where patterns.contains(where: { $0.count > length && $0.starts(with: text.suffix(length)) }) {
            return length
        }
        return 0
    }

    /// The text of a response up to the first string, with the tokens that lie in it as a whole; nil where it holds none.
    func cut(_ response: [Token]) -> (text: String, tokens: [Token])? {
        let pieces = response.map(bytes)
        guard let stop = firstStop(in: pieces.flatMap { $0 }) else { return nil }
        var (kept, length) = (0, 0)
        while kept < pieces.count, length + pieces[kept].count <= stop {
            length += pieces[kept].count
            kept += 1
        }
        var stream = TextStream()
        return (stream.append(Array(pieces.joined().prefix(stop))), Array(response.prefix(kept)))
    }
}

extension ArraySlice<UInt8> {
    fileprivate func ends(with pattern: [UInt8]) -> Bool {
        count >= pattern.count && suffix(pattern.count).elementsEqual(pattern)
    }
}

/// Turns the bytes of an answer into the text that may be shown: what may be the beginning of a stop string is held back
/// until it turns out to be none.
struct AnswerText: Sendable {
    private let stop: StopStrings?
    private var stream = TextStream()
    private var pending: [UInt8] = []
    private var isStopped = false

    init(stop: StopStrings?) { self.stop = stop }

    /// Takes more bytes and returns the text that can be shown.
    mutating func append(_ bytes: [UInt8]) -> String {
        guard let stop else { return stream.append(bytes) }
        guard !isStopped else { return "" }
        pending += bytes
        if let start = stop.firstStop(in: pending) {
            isStopped = true
            defer { pending = [] }
            return stream.append(Array(pending[..<start]))
        }
        let shown = pending.count - stop.heldBack(of: pending[...])
        defer { pending.removeFirst(shown) }
        return stream.append(Array(pending[..<shown]))
    }

    /// The answer is over: what was held back is text after all.
    mutating func release() -> String {
        defer { pending = [] }
        return stream.append(pending)
    }
}
