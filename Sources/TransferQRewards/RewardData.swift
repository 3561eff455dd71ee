import Foundation
public import TransferQ
import TransferQDigest

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
}

extension [Message] {
    /// hh-rlhf's form: "\n\nHuman: …\n\nAssistant: …"; all that is not the assistant's counts as the human's.
    package var dialogue: String {
        map { "\n\n\($0.role == "assistant" ? "Assistant" : "Human"): \($0.content)" }.joined()
    }
}

/// What a file of JSON lines holds.
public enum RewardData: Sendable {
    case pairs([PreferencePair])
    case labelled([LabelledText])
    /// Completions without any judgement.
    case completions([Completion])

    /// Reads JSON lines, gzipped if the name ends in `.gz`. Every line has the form of the first:
    ///
    ///     {"chosen": DIALOGUE, "rejected": DIALOGUE}      ("prompt": DIALOGUE may hold what they share)
    ///     {"text": DIALOGUE, "label": 0 or 1}
    ///     {"prompt": DIALOGUE, "response": "…"}
    ///
    /// A dialogue is a list of messages, or a text of "\n\nHuman: " and "\n\nAssistant: " turns (hh-rlhf's form); the
    /// answer is its last assistant turn. A text without turns is an answer by itself.
    ///
    /// - Throws: ``RewardError`` that names the file and the line.
    public static func read(_ path: String) throws -> (data: RewardData, sha256: String) {
        let bytes = try contents(of: path)
        let hash = SHA256.hash(data: bytes).hexadecimal
        var records: [Record] = []
        let decoder = JSONDecoder()
        for (index, line) in lines(of: bytes) {
            do { records.append(try Record(decoder.decode(Line.self, from: line))) } catch let error as LineError {
                throw RewardError.badData(path: path, line: index + 1, reason: error.reason)
            } catch {
                throw RewardError.badData(path: path, line: index + 1, reason: "this is no JSON object of a known form")
            }
            if records[records.count - 1].form != records[0].form {
                throw RewardError.badData(
                    path: path, line: index + 1, reason: "its form differs from the first line's; use one form a file")
            }
        }
        switch records.first {
        case nil: throw RewardError.tooLittleData(path: path, reason: "the file is empty; give JSON lines")
        case .pair: return (.pairs(records.compactMap { if case .pair(let pair) = $0 { pair } else { nil } }), hash)
        case .labelled:
            return (.labelled(records.compactMap { if case .labelled(let text) = $0 { text } else { nil } }), hash)
        case .completion:
            return (.completions(records.compactMap { if case .completion(let one) = $0 { one } else { nil } }), hash)
        }
    }

    /// The conversations of a file, in order: prompts to answer.
    ///
    /// Besides the forms above, a line may be {"prompt": DIALOGUE} or {"messages": […]} whose last turn is the user's.
    public static func prompts(_ path: String) throws -> [[Message]] {
        var prompts: [[Message]] = []
        let decoder = JSONDecoder()
        for (index, line) in lines(of: try contents(of: path)) {
            do {
                let line = try decoder.decode(Line.self, from: line)
                if line.chosen == nil, line.text == nil, line.response == nil, let prompt = line.prompt ?? line.messages
                {
                    prompts.append(prompt.messages)
                } else {
                    prompts.append(try Record(line).conversation)
                }
            } catch let error as LineError {
                throw RewardError.badData(path: path, line: index + 1, reason: error.reason)
            } catch {
                throw RewardError.badData(path: path, line: index + 1, reason: "this is no JSON object of a known form")
            }
            guard prompts[prompts.count - 1].contains(where: { !$0.content.allSatisfy(\.isWhitespace) }) else {
                throw RewardError.badData(path: path, line: index + 1, reason: "it has no prompt; give a user's turn")
            }
        }
        guard !prompts.isEmpty else {
            throw RewardError.tooLittleData(path: path, reason: "the file is empty; give JSON lines")
        }
        return prompts
    }

    /// The lines that are not blank, with their places from 0 on.
    private static func lines(of data: Data) -> [(offset: Int, element: Data)] {
        data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
            .filter { line in !line.element.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 } }
    }

    private static func contents(of path: String) throws -> Data {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw RewardError.tooLittleData(path: path, reason: "there is no such file, or it cannot be read")
        }
        guard path.hasSuffix(".gz") else { return data }
        return try Gunzip.data(path)
    }
}

/// One line as it is written.
private struct Line: Decodable {
    var prompt: Dialogue?
    var messages: Dialogue?
    var chosen: Dialogue?
    var rejected: Dialogue?
    var response: String?
    var text: Dialogue?
    var label: Label?

    struct Label: Decodable {
        let isGood: Bool

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flag = try? container.decode(Bool.self) {  // or else a number
                isGood = flag
                return
            }
            let number = try container.decode(Double.self)
            guard number == 0 || number == 1 else { throw LineError(reason: "a label must be 0 or 1, not \(number)") }
            isGood = number == 1
        }
    }
}

/// Messages, or a text of turns.
private struct Dialogue: Decodable {
    let messages: [Message]
    /// Whether it is a text without turns.
    let isPlain: Bool

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let messages = try? container.decode([Message].self) {  // or else a text
            self.messages = messages
            isPlain = false
            return
        }
        let text = try container.decode(String.self)
        let turns = try Self.turns(of: text)
        isPlain = turns.isEmpty
        messages = turns.isEmpty ? [Message(role: "user", content: text)] : turns
    }

    private static func turns(of text: String) throws -> [Message] {
        let marks = text.ranges(of: /(?:^|\n\n)(Human|Assistant): ?/)
        if let first = marks.first, !text[..<first.lowerBound].allSatisfy(\.isWhitespace) {
            throw LineError(reason: "a dialogue must begin with a turn, Human: or Assistant:")
        }
        return marks.enumerated().map { index, mark in
            let end = index + 1 < marks.count ? marks[index + 1].lowerBound : text.endIndex
            let isHuman = text[mark].contains("Human")
            return Message(
                role: isHuman ? "user" : "assistant",
                content: text[mark.upperBound..<end].trimmingCharacters(in: .whitespacesAndNewlines))
        }
    }

    /// The answer, with the conversation that it answers.
    func completion(after prompt: Dialogue?) throws -> Completion {
        if isPlain { return Completion(conversation: prompt?.messages ?? [], text: messages[0].content) }
        guard let last = messages.last, last.role == "assistant" else {
            throw LineError(reason: "the last turn of a dialogue must be the assistant's answer")
        }
        return Completion(conversation: (prompt?.messages ?? []) + messages.dropLast(), text: last.content)
    }
}

private struct LineError: Error {
    let reason: String
}

private enum Record {
    case pair(PreferencePair)
    case labelled(LabelledText)
    case completion(Completion)

    init(_ line: Line) throws {
        if let chosen = line.chosen, let rejected = line.rejected {
            self = .pair(
                PreferencePair(
                    chosen: try chosen.completion(after: line.prompt),
                    rejected: try rejected.completion(after: line.prompt)))
        } else if let text = line.text, let label = line.label {
            self = .labelled(
                LabelledText(completion: try text.completion(after: line.prompt), label: label.isGood))
        } else if let response = line.response {
            self = .completion(
                Completion(conversation: (line.prompt ?? line.messages)?.messages ?? [], text: response))
        } else {
            throw LineError(
                reason: "it needs chosen and rejected, or text and label, or prompt and response")
        }
    }

    var form: Int {
        switch self {
        case .pair: 0
        case .labelled: 1
        case .completion: 2
        }
    }

    var conversation: [Message] {
        switch self {
        case .pair(let pair): pair.chosen.conversation
        case .labelled(let text): text.completion.conversation
        case .completion(let completion): completion.conversation
        }
    }
}

/// Unpacks with the system's gzip.
private enum Gunzip {
    static func data(_ path: String) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip", "-dc", "--", path]
        let output = FileManager.default.temporaryDirectory.appending(path: "transferq-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: output) }  // it may never have been made
        guard FileManager.default.createFile(atPath: output.path, contents: nil),
            let handle = FileHandle(forWritingAtPath: output.path)
        else { throw RewardError.cannotWrite(path: output.path, reason: "the temporary folder is closed or full") }
        process.standardOutput = handle
        process.standardError = FileHandle.nullDevice
        do { try process.run() } catch {
            throw RewardError.tooLittleData(path: path, reason: "gzip is not installed; install it, or unpack the file")
        }
        process.waitUntilExit()
        guard process.terminationStatus == 0, let data = FileManager.default.contents(atPath: output.path) else {
            throw RewardError.tooLittleData(path: path, reason: "gzip cannot unpack it; get the file again")
        }
        return data
    }
}
