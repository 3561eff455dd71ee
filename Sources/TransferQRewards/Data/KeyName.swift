/// What a key says of its value.
enum KeyName {
    private static let prompt: Set<String> = [
        "prompt", "question", "instruction", "query", "input", "context", "system", "history", "dialog", "dialogue",
        "conversation", "message", "turn", "chat", "user", "human", "post", "article", "document", "passage", "problem",
        "premise", "background", "request",
    ]

    /// Words that make of such a key a note about the prompt.
    private static let notes: Set<String> = [
        "id", "uid", "uuid", "hash", "sha", "sha256", "md5", "type", "kind", "category", "source", "origin", "length",
        "len",
        "token", "count", "num", "number", "lang", "language", "dataset", "name", "index", "idx", "key", "url", "link",
        "score", "rating", "subset", "split", "version", "date", "time", "timestamp", "style", "format", "label",
        "level",
        "topic", "tag", "model", "metadata", "meta", "difficulty", "quality", "fingerprint", "intent", "author",
    ]

    /// Whether a key's words speak of a prompt, and none of them of a note about one.
    static func looksLikePrompt(_ key: String) -> Bool {
        let spaced = key.replacing(/([a-z0-9])([A-Z])/) { "\($0.1) \($0.2)" }.lowercased()
        let words = spaced.split { !$0.isLetter && !$0.isNumber }.map { word in
            var word = String(word)
            while let last = word.last, last.isNumber, word.count > 1, !notes.contains(word) { word.removeLast() }
            if word.hasSuffix("ies") { return String(word.dropLast(3)) + "y" }
            return word.hasSuffix("s") && word.count > 2 && !word.hasSuffix("ss") ? String(word.dropLast()) : word
        }
        return words.contains(where: prompt.contains) && !words.contains(where: notes.contains)
    }
}
