public import Foundation
public import TransferQ

/// Two answers, of which people preferred the first. They answer the same conversation, as a rule.
public struct PreferencePair: Hashable, Sendable {
    public var chosen: Completion
    public var rejected: Completion

    public init(chosen: Completion, rejected: Completion) {
        self.chosen = chosen
        self.rejected = rejected
    }
}

/// A text that is good (true) or bad.
public struct LabelledText: Hashable, Sendable {
    public var completion: Completion
    public var label: Bool

    public init(completion: Completion, label: Bool) {
        self.completion = completion
        self.label = label
    }
}

extension Completion {
    /// A whole answer that is known as a text only.
    public init(conversation: [Message], text: String) {
        self.init(conversation: conversation, text: text, tokens: [], isFinished: true)
    }

    /// Whether it answers something that the user or the assistant said before; a system prompt alone is nothing to answer.
    public var hasPrompt: Bool {
        conversation.contains { $0.role != "system" && !$0.content.allSatisfy(\.isWhitespace) }
    }
}

extension [Message] {
    /// hh-rlhf's form: "\n\nHuman: …\n\nAssistant: …"; all that is not the assistant's counts as the human's.
    package var dialogue: String {
        map { "\n\n\($0.role == "assistant" ? "Assistant" : "Human"): \($0.content)" }.joined()
    }
}

/// How records are read.
public struct RecordOptions: Sendable {
    /// Whether records that cannot be read are left out, counted and named by `notice`; otherwise the first is an error.
    public var skipsBroken: Bool
    /// Keys of records that are passed over knowingly.
    public var ignoredKeys: Set<String>
    /// Gets sentences about what was left out or looks odd.
    public var notice: @Sendable (String) -> Void

    public init(
        skipsBroken: Bool = false, ignoredKeys: Set<String> = [],
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.skipsBroken = skipsBroken
        self.ignoredKeys = ignoredKeys
        self.notice = notice
    }
}

/// What a file of records holds.
///
/// A file has JSON lines, or one JSON list; gzip may have packed it. It is read as a stream: a record may have 16 MiB.
/// Every record has the form of the first:
///
/// | form | keys |
/// |---|---|
/// | preference (hh-rlhf, TRL, UltraFeedback, RewardBench) | `chosen`, `rejected`; `prompt` or what stands for it |
/// | several of either (RewardBench 2) | `chosen`, `rejected` as lists of texts: every pair of the two lists |
/// | judged answers (KTO) | `completion` (or `response`, `output`, `answer`), `label`, `prompt` |
/// | labelled texts | `text`, `label` |
/// | answers (TRL, Alpaca) | `response` (or `completion`, `output`, `answer`), `prompt` |
/// | conversations (ShareGPT, OpenAI) | `messages` (or `conversations`), whose last turn is the assistant's |
///
/// A label is 0 or 1, or false or true. A prompt is a text, a list of messages, or hh-rlhf's text of "\n\nHuman: " and
/// "\n\nAssistant: " turns; so are `chosen`, `rejected` and `text`, whose last turn, the assistant's, is the answer. They
/// may hold the prompt, which then counts once. Messages are {"role", "content"} or {"from", "value"}, with a text or a
/// list of text parts. In the place of `prompt`: `question`, `query`, `input`, `instruction` (with `input` behind it after
/// a blank line), or a list of messages under `messages`, `conversations`, `conversation` or `context`. `system` or
/// `system_prompt` becomes the first turn, `history` (a list of exchanges) the turns before the prompt.
///
/// Any other key that looks like a part of the prompt by its name, and whose text the prompt does not hold, is an error, as
/// are records of forms that are known and not read (``RefusedForm``), each with a command that converts them. Other keys
/// that hold text are named once.
public enum RewardData: Sendable {
    case pairs([PreferencePair])
    case labelled([LabelledText])
    /// Completions without any judgement.
    case completions([Completion])

    /// All answers; of pair i at 2i (chosen) and 2i + 1 (rejected).
    public var completions: [Completion] {
        switch self {
        case .pairs(let pairs): pairs.flatMap { [$0.chosen, $0.rejected] }
        case .labelled(let texts): texts.map(\.completion)
        case .completions(let all): all
        }
    }

    /// Reads answers.
    ///
    /// - Returns: the data, and the SHA-256 of the file's unpacked bytes.
    /// - Throws: ``RewardError`` that names the file and the line.
    public static func read(
        _ path: String, options: RecordOptions = RecordOptions()
    ) throws -> (data: RewardData, sha256: String) {
        var stream = try RecordStream(path, options, onlyPrompt: false)
        var (pairs, texts, completions): ([PreferencePair], [LabelledText], [Completion]) = ([], [], [])
        while let record = try stream.next() {
            switch record.content {
            case .pairs(let several):
                if several.count > 1 { stream.note("a record with several answers counts as all its pairs") }
                pairs += several
            case .labelled(let text): texts.append(text)
            case .completion(let completion): completions.append(completion)
            case .prompt: break
            }
        }
        try stream.finish()
        let data: RewardData =
            !pairs.isEmpty ? .pairs(pairs) : !texts.isEmpty ? .labelled(texts) : .completions(completions)
        data.noteMissingPrompts(path, options)
        return (data, stream.sha256())
    }

    /// The conversations of a file, in order: prompts to answer.
    ///
    /// Besides the forms of ``RewardData``, a record may be a prompt alone. Answers are left out.
    ///
    /// - Parameter limit: how many to read; the rest of the file is not looked at.
    public static func prompts(
        _ path: String, limit: Int = .max, options: RecordOptions = RecordOptions()
    ) throws -> [[Message]] {
        var stream = try RecordStream(path, options, onlyPrompt: true)
        var prompts: [[Message]] = []
        while prompts.count < limit, let record = try stream.next() { prompts.append(record.conversation) }
        try stream.finish()
        return prompts
    }

    /// The messages of a JSON text that is one conversation: a list of messages, or an object that holds one under
    /// `messages` or `conversations`.
    ///
    /// - Parameter path: of the file, for messages.
    /// - Throws: ``RewardError/badData(path:line:reason:)``.
    public static func conversation(in data: Data, path: String) throws -> [Message] {
        do {
            let value = try RecordStream.json(RawRecord(line: 1, bytes: data, isTerminated: true), path: path)
            let inner = value.object.flatMap { object in
                ["messages", "conversations"].lazy.compactMap { object[$0] }.first
            }
            let dialogue = try Dialogue(inner ?? value, field: "the conversation")
            guard !dialogue.isPlain else { throw RecordFault("it must be a list of messages, not a text") }
            return dialogue.messages
        } catch let fault as RecordFault {
            throw RewardError.badData(path: path, line: 1, reason: fault.reason)
        }
    }

    private func noteMissingPrompts(_ path: String, _ options: RecordOptions) {
        let all = completions
        let missing = all.count { !$0.hasPrompt }
        guard missing > 0 else { return }
        let share =
            missing == all.count ? "none of the \(all.count) answers has" : "\(missing) of \(all.count) answers have no"
        options.notice("\(path): \(share)\(missing == all.count ? " a" : "") prompt; they are judged by themselves")
    }
}

/// The records of a file, understood, one after the other.
struct RecordStream {
    private let path: String
    private let options: RecordOptions
    private let onlyPrompt: Bool
    private let reader: RecordReader
    private var form: Int?
    private var count = 0
    private var skipped: [RewardError] = []
    private var unreadKeys: Set<String> = []
    private var notes: [String] = []
    private var oddities: Set<String> = []

    init(_ path: String, _ options: RecordOptions, onlyPrompt: Bool) throws {
        self.path = path
        self.options = options
        self.onlyPrompt = onlyPrompt
        reader = try RecordReader(path)
    }

    /// Of the unpacked bytes that were read.
    func sha256() -> String { reader.sha256() }

    /// Says something of the file, once.
    mutating func note(_ sentence: String) { if !notes.contains(sentence) { notes.append(sentence) } }

    /// The next record; nil at the end.
    ///
    /// - Throws: ``RewardError`` for the first that cannot be read, unless those are skipped.
    mutating func next() throws -> Record? {
        while let raw = try reader.next() {
            count += 1
            do {
                let record = try understood(raw)
                unreadKeys.formUnion(record.unreadKeys)
                if let oddity = record.oddity, oddities.insert(oddity).inserted {
                    note("line \(raw.line) \(oddity)")
                }
                return record
            } catch let fault as RecordFault {
                let error = RewardError.badData(path: path, line: raw.line, reason: fault.reason)
                guard options.skipsBroken, !fault.isOfFile else { throw error }
                skipped.append(error)
            } catch let error as RewardError {
                guard options.skipsBroken else { throw error }
                skipped.append(error)
            }
        }
        return nil
    }

    /// Ends reading, and says what was left out.
    ///
    /// - Throws: ``RewardError`` when there was no record.
    func finish() throws {
        reader.close()
        guard count > 0 else {
            throw RewardError.tooLittleData(path: path, reason: "the file is empty; give JSON lines")
        }
        guard skipped.count < count else {
            throw RewardError.tooLittleData(
                path: path, reason: "none of its \(count) records can be read; \(skipped[0])")
        }
        if !skipped.isEmpty {
            let first = skipped.prefix(5).map { error in
                if case .badData(_, let line, let reason) = error { "line \(line) (\(reason))" } else { "\(error)" }
            }
            options.notice(
                "\(path): skipped \(skipped.count) of \(count) records: " + first.joined(separator: ", ")
                    + (skipped.count > first.count ? " and others" : ""))
        }
        for note in notes { options.notice("\(path): \(note)") }
        if !unreadKeys.isEmpty {
            options.notice("\(path): text under these keys is not read: \(unreadKeys.sorted().joined(separator: ", "))")
        }
    }

    /// - Throws: ``RewardError`` with the cause for what is no JSON, ``RecordFault`` for a line that is too long.
    static func json(_ raw: RawRecord, path: String) throws -> JSONValue {
        if let fault = raw.fault { throw RecordFault(fault) }
        do {
            // The parser takes other encodings too, and says less of what it does not take.
            guard String(validating: raw.bytes, as: UTF8.self) != nil else { throw CocoaError(.fileReadCorruptFile) }
            return JSONValue(try JSONSerialization.jsonObject(with: raw.bytes))
        } catch {
            let said = (error as NSError).userInfo["NSDebugDescription"] as? String ?? "\(error)"
            let fault = JSONFault(in: raw.bytes, path: path, parserMessage: said)
            let before = raw.bytes.prefix(fault.offset)
            let lines = before.count { $0 == UInt8(ascii: "\n") }
            let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? before.startIndex
            throw RewardError.badData(
                path: path, line: raw.line + lines,
                reason: "\(fault.reason) (column \(before.endIndex - start + 1))")
        }
    }

    private mutating func understood(_ raw: RawRecord) throws -> Record {
        let value = try Self.json(raw, path: path)
        guard let object = value.object else {
            throw RecordFault(
                "a record is an object, {\"prompt\": …}, not \(value.kind)"
                    + (value.texts == nil ? "" : "; texts become prompts by jq -c '.[] | {prompt: .}'"))
        }
        if object["role"] != nil || object["from"] != nil, object["content"] != nil || object["value"] != nil {
            throw RecordFault(
                "this is a message; a conversation of messages is one record: jq -c '{messages: .}' "
                    + "\(FileKind.quoted(path)) > data.jsonl", isOfFile: true)
        }
        let record = try Record(object, ignoring: options.ignoredKeys, onlyPrompt: onlyPrompt, path: path)
        if onlyPrompt {
            guard record.conversation.contains(where: { $0.role != "system" && !$0.content.allSatisfy(\.isWhitespace) })
            else { throw RecordFault("it has no prompt; give a user's turn") }
            return record
        }
        if case .prompt = record.content {
            throw RecordFault(
                "it has a prompt and no answer; it needs chosen and rejected, or text and label, or prompt and response; its "
                    + "keys are \(object.keys.sorted().joined(separator: ", "))")
        }
        guard form.map({ $0 == record.form }) ?? true else {
            throw RecordFault("its form differs from the first record's; use one form a file", isOfFile: true)
        }
        form = record.form
        return record
    }
}
