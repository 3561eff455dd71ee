import Foundation
import TransferQ

/// What goes to a reward in another process, and what comes back.
enum RewardProtocol {
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
    /// | `{"data": [{"index": 0, "score": 1.5}]}` | servers that number their answers |
    /// | `{"data": [{"index": 0, "probs": [0.1, 0.9], "label": …}]}` | classification endpoints |
    /// | `{"data": [{"index": 0, "data": [1.5]}]}`, `… "embedding": …` | pooling endpoints |
    /// | `[[{"label": "good", "score": 0.9}, …]]`, `[{"label", "score"}]` | text-classification servers |
    ///
    /// - Parameter choice: the place or the label of the number to take where there are several.
    /// - Throws: a ``ReplyError``.
    static func rewards(in reply: Data, choice: String?) throws -> [Double] {
        let text = String(decoding: reply, as: UTF8.self)
        // Python writes numbers that are none without quotes, which is no JSON; they are judged later, by name.
        let quoted = text.replacing(/([\[,:\s])(-?(?:NaN|Infinity))(?=[\],}\s]|$)/) { "\($0.1)\"\($0.2)\"" }
        let value: Any
        do {
            value = try JSONSerialization.jsonObject(with: Data(quoted.utf8), options: [.fragmentsAllowed])
        } catch { throw ReplyError.notJSON(String(text.prefix(80))) }
        var list = value
        if let object = value as? [String: Any] {
            guard let inner = ["rewards", "scores", "data", "results"].lazy.compactMap({ object[$0] }).first else {
                throw ReplyError.unknownForm(String(text.prefix(80)))
            }
            list = inner
        }
        guard var items = list as? [Any] else { throw ReplyError.unknownForm(String(text.prefix(80))) }
        let places = items.map { ($0 as? [String: Any])?["index"] as? Int }
        if !items.isEmpty, places.allSatisfy({ $0 != nil }) {
            items = zip(items, places).sorted { ($0.1 ?? 0) < ($1.1 ?? 0) }.map(\.0)
        }
        return try items.map { try number(in: $0, choice: choice) }
    }

    private static func number(in item: Any, choice: String?) throws -> Double {
        if item is NSNull { return .nan }
        if let text = item as? String {
            switch text {
            case "NaN": return .nan
            case "Infinity": return .infinity
            case "-Infinity": return -.infinity
            default: throw ReplyError.unknownForm(text)
            }
        }
        if let number = item as? Double { return number }
        if let object = item as? [String: Any] {
            for key in ["probs", "reward", "score", "embedding", "data"] {
                if let inner = object[key] { return try number(in: inner, choice: choice) }
            }
        }
        if let list = item as? [Any] {
            if list.count == 1 { return try number(in: list[0], choice: choice) }
            guard let choice else { throw ReplyError.ambiguous(list.count) }
            // Servers sort labelled numbers by size, so a place among them says nothing.
            let labels = list.map { ($0 as? [String: Any])?["label"] as? String }
            if let place = labels.firstIndex(of: choice) { return try number(in: list[place], choice: nil) }
            if let place = Int(choice), list.indices.contains(place), labels.allSatisfy({ $0 == nil }) {
                return try number(in: list[place], choice: nil)
            }
            throw ReplyError.noSuchChoice(choice)
        }
        throw ReplyError.unknownForm("\(item)")
    }
}

/// What is wrong with a reply, as the part of a sentence that follows the reward's name.
enum ReplyError: Error, CustomStringConvertible {
    case notJSON(String)
    case unknownForm(String)
    case ambiguous(Int)
    case noSuchChoice(String)

    var description: String {
        switch self {
        case .notJSON(let text):
            text.allSatisfy(\.isWhitespace)
                ? "answered nothing; it must answer one JSON array of numbers a batch"
                : "answered \"\(text)\", which is no JSON; it must answer {\"rewards\": [numbers]}"
        case .unknownForm(let text):
            "answered in a form that is not known (\"\(text)\"); it must answer {\"rewards\": [numbers]}"
        case .ambiguous(let count):
            "gave \(count) numbers for each text; say which to take with #class=PLACE or #class=LABEL behind its address"
        case .noSuchChoice(let choice): "gave no class \(choice); correct #class= behind its address"
        }
    }
}
