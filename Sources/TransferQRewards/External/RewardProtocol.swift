import Foundation
import TransferQ

/// What goes to a reward in another process in this project's own form, and what comes back in all known ones.
enum RewardProtocol {
    /// Bytes of a reply that are read at most: some thousand rewards, with many labels each, take a few megabytes.
    static let longestReply = 16 << 20

    struct Request: Encodable {
        struct Item: Encodable {
            let conversation: [Message]
            let response: String
            let isFinished: Bool
        }

        let completions: [Item]

        init(_ completions: [Completion]) {
            self.completions = completions.map {
                Item(conversation: $0.conversation, response: $0.text, isFinished: $0.isFinished)
            }
        }
    }

    /// The numbers of a reply.
    struct Reply {
        /// In the order of the request.
        let values: [Double]
        /// Whether every text got a list of exactly one number, as classifiers with one label answer.
        let isOneLabel: Bool
    }

    static func encoded(_ request: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(request)
    }

    /// The rewards in a reply, in whatever known form, in the order of the request.
    ///
    /// | form | who answers so |
    /// |---|---|
    /// | `[1.5, -0.2]`, `{"rewards": […]}`, `{"scores": […]}` | our examples, OpenRLHF |
    /// | `{"data": [{"index": 0, "score": 1.5}]}` | vLLM's `/score` |
    /// | `{"data": [{"index": 0, "probs": [0.1, 0.9], "label": …}]}` | vLLM's `/classify` |
    /// | `{"data": [{"index": 0, "data": [1.5]}]}`, `… "embedding": …` | vLLM's `/pooling` |
    /// | `[{"index": 1, "score": 1.5}]` | `/rerank` of TEI and llama-server |
    /// | `{"results": [{"index": 1, "relevance_score": 1.5}]}` | `/rerank` of vLLM, Jina, Cohere |
    /// | `[[{"label": "good", "score": 0.9}, …]]`, `[{"label", "score"}]` | TEI's `/predict` |
    ///
    /// Answers with an `index` may come in any order; the indices must be 0 to n − 1.
    ///
    /// - Parameter choice: the place or the label of the number to take where there are several.
    /// - Throws: a ``ReplyError``.
    static func reply(_ reply: Data, choice: String?) throws -> Reply {
        let value = try AnyJSON.decoded(reply)
        let beginning = String(decoding: reply.prefix(80), as: UTF8.self)
        var list = value
        if case .object(let object) = value {
            guard let inner = ["rewards", "scores", "data", "results"].lazy.compactMap({ object[$0] }).first else {
                throw complaint(in: object).map(ReplyError.complaint) ?? .unknownForm(beginning)
            }
            list = inner
        }
        guard case .array(let items) = list else { throw ReplyError.unknownForm(beginning) }
        let ordered = try inOrder(items)
        return Reply(
            values: try ordered.map { try number(in: $0, choice: choice) },
            isOneLabel: !items.isEmpty && ordered.allSatisfy { Self.labels(in: $0) == 1 })
    }

    /// What a server complains of in place of an answer, whatever its status says.
    private static func complaint(in object: [String: AnyJSON]) -> String? {
        for key in ["error", "message", "detail"] {
            switch object[key] {
            case .string(let text): return text
            case .object(let inner):
                if case .string(let text) = inner["message"] { return text }
            default: continue
            }
        }
        return nil
    }

    private static func inOrder(_ items: [AnyJSON]) throws -> [AnyJSON] {
        let places = items.map { item -> Int? in
            guard case .object(let object) = item, case .number(let place) = object["index"] else { return nil }
            return Int(exactly: place)
        }
        guard places.contains(where: { $0 != nil }) else { return items }
        let numbered = zip(places, items).sorted { ($0.0 ?? -1) < ($1.0 ?? -1) }
        guard numbered.map(\.0) == items.indices.map({ $0 }) else {
            throw ReplyError.indices(places.map { $0.map(String.init) ?? "none" })
        }
        return numbered.map(\.1)
    }

    /// The keys of an answer to one text that hold its number or numbers.
    private static let keys = ["probs", "reward", "score", "relevance_score", "embedding", "data"]

    private static func number(in item: AnyJSON, choice: String?) throws -> Double {
        switch item {
        case .null: return .nan
        case .number(let number): return number
        case .string, .bool: throw ReplyError.unknownForm("\(item)")
        case .object(let object):
            guard let inner = keys.lazy.compactMap({ object[$0] }).first else {
                throw ReplyError.unknownForm("\(item)")
            }
            return try number(in: inner, choice: choice)
        case .array(let list):
            if list.count == 1 { return try number(in: list[0], choice: choice) }
            if list.count > 1, list.allSatisfy({ if case .array = $0 { true } else { false } }) {
                throw ReplyError.perToken(list.count)
            }
            // Servers sort labelled numbers by size, so a place among them says nothing.
            let labels = list.map { item -> String? in
                guard case .object(let object) = item, case .string(let label) = object["label"] else { return nil }
                return label
            }
            guard let choice else { throw ReplyError.ambiguous(list.count, labels: labels.compactMap(\.self)) }
            if let place = labels.firstIndex(of: choice) { return try number(in: list[place], choice: nil) }
            if let place = Int(choice), list.indices.contains(place), labels.allSatisfy({ $0 == nil }) {
                return try number(in: list[place], choice: nil)
            }
            throw ReplyError.noSuchChoice(choice, labels: labels.compactMap(\.self), count: list.count)
        }
    }

    /// How many numbers a text got; nil where that is no list.
    private static func labels(in item: AnyJSON) -> Int? {
        switch item {
        case .array(let list): list.count
        case .object(let object):
            keys.lazy.compactMap({ object[$0] }).first.flatMap { inner in
                if case .array(let list) = inner { list.count } else { nil }
            }
        default: nil
        }
    }
}

/// What is wrong with a reply, as the part of a sentence that follows the reward's name.
enum ReplyError: Error, CustomStringConvertible {
    case notJSON(String)
    case unknownForm(String)
    case complaint(String)
    case indices([String])
    case perToken(Int)
    case ambiguous(Int, labels: [String])
    case noSuchChoice(String, labels: [String], count: Int)

    var description: String {
        switch self {
        case .notJSON(let text):
            text.allSatisfy(\.isWhitespace)
                ? "answered nothing; it must answer one JSON array of numbers a batch"
                : "answered \"\(text)\", which is no JSON; it must answer {\"rewards\": [numbers]}"
        case .unknownForm(let text):
            "answered in a form that is not known (\(text.prefix(80))); it must answer {\"rewards\": [numbers]}"
        case .complaint(let text): "answered with an error: \(text.prefix(300))"
        case .indices(let indices):
            "numbered its answers \(indices.prefix(8).joined(separator: ", ")); the index fields must be 0 to "
                + "\(indices.count - 1), each once"
        case .perToken(let count):
            "gave a list for each of \(count) tokens; a reward is one number for a text: serve a model that pools "
                + "over the text, or use /classify"
        case .ambiguous(let count, let labels):
            "gave \(count) numbers for each text\(Self.list(labels)); say which to take with #class=PLACE or "
                + "#class=LABEL behind its address"
        case .noSuchChoice(let choice, let labels, let count):
            "gave no class \(choice), but \(count) numbers for each text\(Self.list(labels)); correct #class= behind "
                + "its address"
        }
    }

    private static func list(_ labels: [String]) -> String {
        labels.isEmpty ? "" : " (\(labels.prefix(12).joined(separator: ", ")))"
    }
}
