import Foundation
import TransferQ

/// What is wrong with one record.
struct RecordFault: Error {
    let reason: String
    /// Whether it concerns the whole file, so that leaving the record out would hide it.
    var isOfFile = false

    init(_ reason: String, isOfFile: Bool = false) {
        self.reason = reason
        self.isOfFile = isOfFile
    }
}

/// Turns of a conversation, as a field of a record holds them.
///
/// Understood are: a text; a text of "\n\nHuman: " and "\n\nAssistant: " turns (hh-rlhf's form, also with Windows' line
/// ends); a message, or a list of messages, {"role", "content"} or ShareGPT's {"from", "value"}, whose content is a text
/// or a list of text parts.
struct Dialogue {
    private(set) var messages: [Message]
    /// Whether it is a text without turns.
    let isPlain: Bool
    /// Whether it is hh-rlhf's text and ended with "Assistant:", which asks for an answer and is no turn.
    private(set) var endsWithCue = false

    /// Texts that went unread, by the keys that hold them.
    private(set) var unreadKeys: Set<String> = []

    /// - Parameters:
    ///   - field: its name, for messages.
    ///   - isPrompt: whether an empty turn of the assistant's at the end only asks for the answer.
    init(_ value: JSONValue, field: String, isPrompt: Bool = false) throws {
        switch value {
        case .text(let text):
            let turns = try TurnText.turns(of: text, field: field)
            isPlain = turns == nil
            messages = turns ?? [Message(role: "user", content: text)]
        case .object(let object) where object["role"] != nil || object["from"] != nil:
            isPlain = false
            messages = []
            messages = [try message(value, field, 1)]
        case .list(let items):
            guard !items.isEmpty else { throw RecordFault("\(field) is an empty list") }
            isPlain = false
            messages = []
            messages = try items.enumerated().map { try message($1, field, $0 + 1) }
        case .null: throw RecordFault("\(field) is null")
        case .number, .object: throw RecordFault("\(field) must be a text or a list of messages, not \(value.kind)")
        }
        if isPrompt, !isPlain, messages.count > 1, let last = messages.last, last.role == "assistant",
            last.content.allSatisfy(\.isWhitespace)
        {
            messages.removeLast()
            if case .text = value { endsWithCue = true }
        }
    }

    /// A text as it is.
    init(plain text: String) {
        messages = [Message(role: "user", content: text)]
        isPlain = true
    }

    /// Whether it begins with the user or the system: it is a conversation of its own, not only an answer.
    var isWhole: Bool { !isPlain && messages.first?.role != "assistant" }

    // MARK: Messages

    private static let roles = [
        "human": "user", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant", "model": "assistant",
        "bot": "assistant", "chatbot": "assistant", "ai": "assistant", "developer": "system",
    ]

    private mutating func message(_ value: JSONValue, _ field: String, _ number: Int) throws -> Message {
        let place = "turn \(number) of \(field)"
        guard let object = value.object else {
            if case .text = value {
                throw RecordFault("\(field) is a list of texts; give a text, or messages with role and content")
            }
            throw RecordFault("\(place) must be a message with role and content, not \(value.kind)")
        }
        let (roleKey, contentKey) =
            object["role"] == nil && object["from"] != nil ? ("from", "value") : ("role", "content")
        guard case .text(let written)? = object[roleKey] else {
            throw RecordFault(
                "\(place) has no role as a text; a message is {\"role\": …, \"content\": …}; its keys are "
                    + object.keys.sorted().joined(separator: ", "))
        }
        let lower = written.lowercased()
        let role = Self.roles[lower] ?? (["user", "assistant", "system"].contains(lower) ? lower : written)
        let calls = ["tool_calls", "function_call"].first { key in
            switch object[key] {
            case nil, .null?: false
            case .list(let items)?: !items.isEmpty
            default: true
            }
        }
        if calls != nil || (roleKey == "from" && ["function_call", "tool_call"].contains(lower)) {
            throw RecordFault("\(place) calls a tool; tool calls are not read, so leave such conversations out")
        }
        for (key, value) in object where ![roleKey, contentKey].contains(key) && !value.allTexts.isEmpty {
            if !["name", "id", "weight", "type"].contains(key) { unreadKeys.insert("\(field)[].\(key)") }
        }
        guard let content = object[contentKey] else {
            throw RecordFault(
                "\(place) has no \(contentKey); its keys are \(object.keys.sorted().joined(separator: ", "))")
        }
        return Message(role: role, content: try Self.text(content, "the content of \(place)"))
    }

    private static func text(_ content: JSONValue, _ place: String) throws -> String {
        switch content {
        case .text(let text): return text
        case .null: throw RecordFault("\(place) is null; leave such conversations out, or give a text")
        case .number, .object: throw RecordFault("\(place) must be a text or a list of text parts, not \(content.kind)")
        case .list(let parts):
            return try parts.enumerated().map { index, part in
                if case .text(let text) = part { return text }
                guard let object = part.object else {
                    throw RecordFault("part \(index + 1) of \(place) must be a text part, not \(part.kind)")
                }
                if case .text(let type)? = object["type"], !["text", "input_text", "output_text"].contains(type) {
                    throw RecordFault("part \(index + 1) of \(place) is of the type \(type); only text is read")
                }
                guard case .text(let text)? = object["text"] else {
                    throw RecordFault("part \(index + 1) of \(place) has no text")
                }
                return text
            }.joined()
        }
    }
}

/// Dialogues that are written as one text.
enum TurnText {
    /// The turns of hh-rlhf's form; nil for a text without any.
    static func turns(of text: String, field: String) throws -> [Message]? {
        guard text.utf8.contains(UInt8(ascii: ":")), text.contains("Human:") || text.contains("Assistant:") else {
            return nil
        }
        // "\r\n" is one character to Swift, which no pattern of "\n" finds.
        let text = text.replacing("\r\n", with: "\n")
        let marks = text.ranges(of: /(?:^|\n\n)(Human|Assistant): ?/)
        guard let first = marks.first else { return nil }
        if !text[..<first.lowerBound].allSatisfy(\.isWhitespace) {
            throw RecordFault("a dialogue must begin with a turn, Human: or Assistant:, and \(field) does not")
        }
        if marks.count == 1, text[first.upperBound...].contains(/\n(Human|Assistant):/) {
            throw RecordFault(
                "\(field): its turns are set off by single newlines; in hh-rlhf's form a blank line goes before Human: and "
                    + "Assistant:, or give a list of messages")
        }
        return marks.enumerated().map { index, mark in
            let end = index + 1 < marks.count ? marks[index + 1].lowerBound : text.endIndex
            let isHuman = text[mark].contains("Human")
            return Message(
                role: isHuman ? "user" : "assistant",
                content: text[mark.upperBound..<end].trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    /// How other dialogues in one text begin a turn of the user's, and of the assistant's.
    private static let layouts: [(name: String, user: [String], assistant: String)] = [
        ("ChatML", ["<|im_start|>"], "<|im_start|>assistant"),
        ("Llama 3", ["<|begin_of_text|>", "<|start_header_id|>"], "<|start_header_id|>assistant"),
        ("Llama 2 or Mistral", ["<s>[INST]", "<s> [INST]", "[INST]"], "[/INST]"),
        ("Gemma", ["<bos><start_of_turn>", "<start_of_turn>"], "<start_of_turn>model"),
        ("Zephyr or Phi", ["<|user|>", "<|system|>"], "<|assistant|>"),
        ("Alpaca", ["### Instruction:", "Below is an instruction"], "### Response:"),
        ("Guanaco", ["### Human:"], "### Assistant:"),
        ("Vicuna", ["USER:"], "ASSISTANT:"),
        ("User and Assistant", ["User:"], "\nAssistant:"),
    ]

    /// The name of the layout of a whole dialogue in one text; nil for a text that is none, as far as one can see.
    static func layout(of text: String) -> String? {
        let start = text.drop(while: \.isWhitespace)
        // Nearly all texts begin otherwise, and are many.
        guard let first = start.utf8.first, "<[#BU".utf8.contains(first) else { return nil }
        return layouts.first { layout in
            layout.user.contains(where: start.hasPrefix) && start.contains(layout.assistant)
        }?.name
    }
}
