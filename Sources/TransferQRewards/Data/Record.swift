import Foundation
import TransferQ

/// One record, understood.
struct Record {
    enum Content {
        case pairs([PreferencePair])
        case labelled(LabelledText)
        case completion(Completion)
        /// A prompt without an answer.
        case prompt
    }

    let content: Content
    /// What is answered.
    let conversation: [Message]
    /// Keys that hold text that is not read.
    let unreadKeys: Set<String>
    /// What looks odd and is read as it stands, as the end of a sentence that begins with the line.
    let oddity: String?

    /// For the rule that a file has one form.
    var form: Int {
        switch content {
        case .pairs: 0
        case .labelled: 1
        case .completion: 2
        case .prompt: 3
        }
    }

    /// - Parameters:
    ///   - ignoring: keys that are passed over.
    ///   - onlyPrompt: whether the answers are of no interest.
    ///   - path: of the file, for messages.
    /// - Throws: ``RecordFault``.
    init(_ object: [String: JSONValue], ignoring: Set<String>, onlyPrompt: Bool, path: String) throws {
        var parser = RecordParser(object.filter { !ignoring.contains($0.key) }, onlyPrompt: onlyPrompt)
        if let form = RefusedForm.container(object) { throw RecordFault(form.sentence(path: path), isOfFile: true) }
        if !parser.has(["chosen", "rejected"]), let form = RefusedForm.find(parser.fields),
            !(onlyPrompt && parser.hasPrompt)
        {
            throw RecordFault(form.sentence(path: path), isOfFile: true)
        }
        (content, conversation) = try parser.content()
        unreadKeys = try parser.unreadKeys(conversation: conversation, content: content)
        oddity = parser.oddity
    }
}

/// Takes a record apart.
private struct RecordParser {
    let fields: [String: JSONValue]
    private let onlyPrompt: Bool
    private var used: Set<String> = []
    private var unread: Set<String> = []
    private var system: String?
    private var history: [Message] = []
    private(set) var oddity: String?

    /// Keys of the prompt as a text (or, for the first, as messages too), the most telling first.
    private static let promptKeys = ["prompt", "question", "instruction", "query", "input"]
    /// Keys of whole conversations.
    private static let conversationKeys = ["messages", "conversations", "conversation", "context"]
    private static let answerKeys = ["response", "completion", "output", "answer"]

    init(_ fields: [String: JSONValue], onlyPrompt: Bool) {
        self.fields = fields
        self.onlyPrompt = onlyPrompt
    }

    func has(_ keys: [String]) -> Bool { keys.allSatisfy { fields[$0] != nil } }

    /// A value that says something: neither null nor a blank text nor an empty list.
    private func present(_ key: String) -> JSONValue? {
        switch fields[key] {
        case nil, .null?: nil
        case .text(let text)? where text.allSatisfy(\.isWhitespace): nil
        case .list(let items)? where items.isEmpty: nil
        case let value?: value
        }
    }

    var hasPrompt: Bool {
        Self.promptKeys.contains { key in present(key).map { $0.object == nil } ?? false }
            || Self.conversationKeys.contains { messageList($0) != nil }
    }

    /// A list of messages.
    private func messageList(_ key: String) -> JSONValue? {
        guard case .list(let items)? = present(key), items.allSatisfy({ $0.object != nil }) else { return nil }
        return present(key)
    }

    // MARK: What a record holds

    mutating func content() throws -> (Record.Content, [Message]) {
        try readSystem()
        if has(["chosen", "rejected"]) { return try pairs() }
        if has(["text", "label"]) {
            let completion = try completions("text", after: try prompt(for: nil))[0]
            let label = try onlyPrompt || label("label")
            return (.labelled(LabelledText(completion: completion, label: label)), completion.conversation)
        }
        let named = Self.answerKeys.filter { key in
            guard let value = fields[key] else { return false }
            if case .text = value { return true }
            return onlyPrompt ? present(key) != nil && value.kind != "a number" : true
        }
        if named.count > 1 {
            throw RecordFault(
                "the keys \(named.joined(separator: " and ")) both may be the answer; leave one out with --ignore-key "
                    + named[1], isOfFile: true)
        }
        if let key = named.first { return try answered(key) }
        if let key = Self.conversationKeys.first(where: { messageList($0) != nil }),
            case .list(let items)? = present(key)
        {
            let dialogue = try Dialogue(.list(items), field: key)
            if dialogue.messages.last?.role == "assistant", present("prompt") == nil || dialogue.isWhole {
                return try answered(key)
            }
        }
        guard let prompt = try prompt(for: nil) else {
            throw RecordFault(
                "it needs chosen and rejected, or text and label, or prompt and response, or messages; its keys are "
                    + fields.keys.sorted().joined(separator: ", "))
        }
        let conversation = try framed(try conversation(of: prompt))
        return (.prompt, conversation)
    }

    /// A completion, or a judged one where there is a label.
    private mutating func answered(_ key: String) throws -> (Record.Content, [Message]) {
        let isConversation = Self.conversationKeys.contains(key)
        let base = isConversation ? try promptField() : try prompt(for: nil)
        let completion = try completions(key, after: base)[0]
        for label in ["label", "kto_tag"] where fields[label] != nil && !onlyPrompt {
            return (
                .labelled(LabelledText(completion: completion, label: try self.label(label))), completion.conversation
            )
        }
        return (.completion(completion), completion.conversation)
    }

    private mutating func pairs() throws -> (Record.Content, [Message]) {
        let base = try prompt(for: fields["chosen"])
        let (chosen, rejected) = (
            try completions("chosen", after: base), try completions("rejected", after: base)
        )
        if let prompt = base?.messages.last?.content, prompt.count >= 20,
            (chosen + rejected).allSatisfy({ $0.text.hasPrefix(prompt) })
        {
            oddity =
                "has answers that begin with the prompt, which then counts twice; if they only repeat it: jq -c '.prompt as $p "
                + "| .chosen |= ltrimstr($p) | .rejected |= ltrimstr($p)'"
        }
        let pairs = chosen.flatMap { good in rejected.map { PreferencePair(chosen: good, rejected: $0) } }
        return (.pairs(pairs), chosen[0].conversation)
    }

    private mutating func label(_ key: String) throws -> Bool {
        used.insert(key)
        switch fields[key] {
        case .number(0)?: return false
        case .number(1)?: return true
        case .text(let text)? where ["0", "false"].contains(text.lowercased()): return false
        case .text(let text)? where ["1", "true"].contains(text.lowercased()): return true
        case .number(let number)?: throw RecordFault("a label must be 0 or 1, or false or true, not \(number)")
        case .text(let text)?:
            throw RecordFault(
                "a label must be 0 or 1, or false or true, not \"\(text.prefix(40))\"; if it is something else, use "
                    + "--ignore-key \(key)")
        case let other: throw RecordFault("a label must be 0 or 1, or false or true, not \(other?.kind ?? "missing")")
        }
    }

    // MARK: Prompts

    private mutating func readSystem() throws {
        for key in ["system", "system_prompt"] {
            guard case .text(let text)? = present(key) else { continue }
            used.insert(key)
            if let system, system != text {
                throw RecordFault("system and system_prompt differ; leave one out with --ignore-key", isOfFile: true)
            }
            system = text
        }
        guard case .list(let items)? = present("history") else { return }
        if items.allSatisfy({ $0.object != nil }) {
            history = try Dialogue(.list(items), field: "history").messages
        } else {
            // Exchanges before the prompt, [[question, answer], …].
            for item in items {
                guard let exchange = item.texts, exchange.count == 2 else { return }
                history.append(Message(role: "user", content: exchange[0]))
                history.append(Message(role: "assistant", content: exchange[1]))
            }
        }
        used.insert("history")
    }

    /// The prompt by whatever key; nil without one.
    ///
    /// - Parameter answer: the answer; a list of messages may be left to it when it is a whole conversation.
    private mutating func prompt(for answer: JSONValue?) throws -> Dialogue? {
        if let prompt = try promptField() { return prompt }
        let key = Self.conversationKeys.first { messageList($0) != nil }
        if let key, let list = present(key), try answer.map({ try !Dialogue($0, field: key).isWhole }) ?? true {
            used.insert(key)
            return noted(try Dialogue(list, field: key, isPrompt: true))
        }
        if case .null? = fields["prompt"], key == nil {
            throw RecordFault("prompt is null; give a text, or leave the key out where there is no prompt")
        }
        return nil
    }

    private mutating func promptField() throws -> Dialogue? {
        guard let key = Self.promptKeys.first(where: { present($0) != nil }), let value = present(key) else {
            return nil
        }
        used.insert(key)
        var read = value
        if key == "instruction", case .text(let text) = value, case .text(let input)? = present("input") {
            used.insert("input")
            read = .text(text + "\n\n" + input)
        }
        let dialogue = noted(try Dialogue(read, field: key, isPrompt: true))
        if dialogue.isPlain, let layout = TurnText.layout(of: dialogue.messages[0].content) {
            oddity = "has a prompt laid out as \(layout) does; it is taken as one turn of plain text"
        }
        return dialogue
    }

    private mutating func noted(_ dialogue: Dialogue) -> Dialogue {
        unread.formUnion(dialogue.unreadKeys)
        return dialogue
    }

    private func conversation(of prompt: Dialogue) throws -> [Message] {
        if prompt.messages.last?.role == "assistant" {
            throw RecordFault(
                "the prompt ends with the assistant's turn: whether an answer begins anew or goes on with it is not said; "
                    + "end it with the user's turn")
        }
        return prompt.messages
    }

    /// A conversation with the system prompt and the history that stand in fields of their own.
    private func framed(_ conversation: [Message]) throws -> [Message] {
        var turns = conversation
        turns.insert(contentsOf: history, at: turns.prefix { $0.role == "system" }.count)
        guard let system else { return turns }
        if let first = turns.first, first.role == "system" {
            guard first.content.trimmed == system.trimmed else {
                throw RecordFault("it has two system prompts that differ; leave one out with --ignore-key system")
            }
            return turns
        }
        return [Message(role: "system", content: system)] + turns
    }

    // MARK: Answers

    /// The answers in a field with the conversation before each: one, or several where the field lists texts.
    private mutating func completions(_ key: String, after prompt: Dialogue?) throws -> [Completion] {
        used.insert(key)
        let value = fields[key] ?? .null
        let isJudged = key == "chosen" || key == "rejected"
        if isJudged, let texts = value.texts, !texts.isEmpty {
            return try texts.map { try completion(Dialogue(plain: $0), key, after: prompt) }
        }
        if !isJudged, key != "text", case .text(let text) = value {
            // What a model wrote is its answer, even where it goes on in the human's name.
            let beginsWithTurn = text.drop(while: \.isWhitespace).starts(with: /(Human|Assistant):/)
            if prompt != nil || !beginsWithTurn {
                return [try completion(Dialogue(plain: text), key, after: prompt)]
            }
        }
        return [try completion(noted(try Dialogue(value, field: key)), key, after: prompt)]
    }

    private func completion(_ answer: Dialogue, _ key: String, after prompt: Dialogue?) throws -> Completion {
        if answer.isPlain {
            let text = answer.messages[0].content
            if let layout = TurnText.layout(of: text) {
                throw RecordFault(
                    "\(key) is a whole dialogue in one text, as \(layout) lays it out; give messages, "
                        + "[{\"role\": \"user\", \"content\": …}, …]")
            }
            let conversation = try framed(try prompt.map(conversation) ?? [])
            return Completion(conversation: conversation, text: prompt?.endsWithCue ?? false ? text.trimmed : text)
        }
        guard let last = answer.messages.last, last.role == "assistant" else {
            throw RecordFault("the last turn of \(key) must be the assistant's answer")
        }
        let before = try joined(Array(answer.messages.dropLast()), key, after: prompt)
        return Completion(conversation: try framed(before), text: last.content)
    }

    /// The turns before an answer: those of the prompt, then those of the answer's own, or only the latter where they hold
    /// the prompt.
    private func joined(_ turns: [Message], _ key: String, after prompt: Dialogue?) throws -> [Message] {
        guard let prompt else { return turns }
        let systems = (prompt.messages.prefix { $0.role == "system" }, turns.prefix { $0.role == "system" })
        let asked = prompt.messages.dropFirst(systems.0.count)
        let own = turns.dropFirst(systems.1.count)
        let contains = own.count >= asked.count && zip(asked, own).allSatisfy { $0.isSame(as: $1) }
        let holdsText =
            prompt.isPlain && own.contains { $0.role == "user" && $0.isSame(as: prompt.messages[0]) }
        if !own.isEmpty, (contains && !asked.isEmpty) || holdsText {
            guard systems.0.isEmpty || systems.1.isEmpty || zip(systems.0, systems.1).allSatisfy({ $0.isSame(as: $1) })
            else { throw RecordFault("the system prompts of prompt and \(key) differ; keep one of them") }
            return (systems.1.isEmpty ? Array(systems.0) : Array(systems.1)) + Array(own)
        }
        let goesOn =
            systems.1.isEmpty
            && (own.first?.role != "user" || asked.isEmpty || asked.last?.role == "assistant")
        guard goesOn else {
            throw RecordFault(
                "\(key) is a conversation that does not hold the prompt: either it is the whole conversation, and prompt is "
                    + "something else (leave it out with --ignore-key), or it goes on after the prompt, and must begin with "
                    + "the assistant's turn")
        }
        return own.isEmpty ? try conversation(of: prompt) : prompt.messages + own
    }

    // MARK: Keys that are left

    /// - Throws: ``RecordFault`` for a key that looks like a part of the prompt, and whose text is nowhere in it.
    func unreadKeys(conversation: [Message], content: Record.Content) throws -> Set<String> {
        var keys = unread
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) where !used.contains(key) {
            let texts = value.contents
            guard !texts.isEmpty else { continue }
            if KeyName.looksLikePrompt(key) {
                let known = (conversation + content.messages).map(\.content)
                if texts.allSatisfy({ text in known.contains { $0.contains(text.trimmed) } }) { continue }
                let isNamed = Self.promptKeys.contains { used.contains($0) }
                throw RecordFault(
                    "the key \"\(key)\" holds text that looks like a part of the prompt, and is not read; "
                        + (isNamed ? "put it into the prompt" : "rename it to prompt")
                        + ", or leave it out with --ignore-key \(key)", isOfFile: true)
            }
            keys.insert(key)
        }
        return keys
    }
}

extension Record.Content {
    /// The answers and what they answer, as turns.
    fileprivate var messages: [Message] {
        switch self {
        case .pairs(let pairs): pairs.flatMap { [$0.chosen, $0.rejected] }.flatMap(\.allTurns)
        case .labelled(let text): text.completion.allTurns
        case .completion(let completion): completion.allTurns
        case .prompt: []
        }
    }
}

extension Completion {
    fileprivate var allTurns: [Message] { conversation + [Message(role: "assistant", content: text)] }
}

extension Message {
    /// Equal but for blanks around the text and the kind of line ends.
    fileprivate func isSame(as other: Message) -> Bool {
        role == other.role
            && content.trimmed.replacing("\r\n", with: "\n") == other.content.trimmed.replacing("\r\n", with: "\n")
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}

extension JSONValue {
    /// All texts in it that are not blank, without the roles and types of messages.
    fileprivate var contents: [String] {
        switch self {
        case .list(let items): items.flatMap(\.contents)
        case .object(let object):
            object.filter { !["role", "from", "type", "name", "id"].contains($0.key) }.values.flatMap(\.contents)
        default: allTexts
        }
    }
}
