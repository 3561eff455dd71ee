internal import CChatTemplate
import CLlama
import Foundation
public import TransferQ

/// A chat template: what a model's file says about how a conversation becomes one text.
///
/// Templates are programs in Jinja. llama.cpp's engine runs them where `scripts/bootstrap` built it
/// (``hasEngine``); otherwise llama.cpp's C interface lays out conversations in the nearest layout that it knows by
/// name, which leaves out what else a template writes, such as a system prompt of its own.
///
///     let template = try ChatTemplate(source: source, variables: ["bos_token": "<s>"])
///     let laidOut = try template.render([Message(role: "user", content: "Hi")])
///     print(laidOut.text)
public final class ChatTemplate: Sendable {
    /// Whether templates run in Jinja.
    public static let hasEngine = tq_engine_is_available()

    /// A stretch of a conversation that is laid out.
    public struct Piece: Equatable, Sendable {
        public let text: String
        /// Whether people wrote it: the content of a message, or what the template made of it.
        public let isInput: Bool
    }

    /// A conversation that is laid out.
    public struct Rendering: Sendable {
        public let pieces: [Piece]
        /// Whether the template asked for the date.
        public let usesDate: Bool

        public var text: String { pieces.map(\.text).joined() }
    }

    /// Why there is no rendering.
    public enum Failure: Error, Equatable, Sendable {
        /// The source is no template; the engine says why.
        case unreadable(String)
        /// The template itself refuses the conversation, in its own words.
        case refused(String)
        /// The template cannot be carried out, in Jinja's words.
        case failed(String)
        /// llama.cpp's C interface has no layout for the template.
        case unknownLayout
    }

    public let source: String
    private let variables: [String: String]
    // Rendering only reads it; freed when nobody can.
    private nonisolated(unsafe) let parsed: OpaquePointer?

    /// - Parameter variables: texts that the template knows by name: `bos_token`, `eos_token` and so on, as far as the
    ///   model has them.
    /// - Throws: ``Failure/unreadable(_:)``.
    public init(source: String, variables: [String: String] = [:]) throws {
        self.source = source
        self.variables = variables
        guard Self.hasEngine else {
            parsed = nil
            return
        }
        var complaint: UnsafeMutablePointer<CChar>?
        parsed = TextArena().use { tq_template_parse($0.text(source), &complaint) }
        guard parsed != nil else {
            defer { tq_string_free(complaint) }
            let reason = complaint.map { String(cString: $0) } ?? ""
            throw Failure.unreadable(reason.split(whereSeparator: \.isNewline).first.map(String.init) ?? reason)
        }
    }

    deinit { if let parsed { tq_template_free(parsed) } }

    /// Lays out a conversation as `apply_chat_template` of transformers does, to the letter.
    ///
    /// - Parameters:
    ///   - isOpen: whether an assistant's answer is to follow (`add_generation_prompt`).
    ///   - date: what the template is told when it asks for the date.
    /// - Throws: ``Failure``.
    public func render(
        _ messages: [Message], isOpen: Bool = true, date: TemplateDate = .current
    ) throws -> Rendering {
        guard let parsed else { return try namedLayout(messages, isOpen: isOpen) }
        let rendering = TextArena().use { arena in
            let turns = messages.map { tq_message(role: arena.text($0.role), content: arena.text($0.content)) }
            let names = variables.map { tq_variable(name: arena.text($0.key), value: arena.text($0.value)) }
            return turns.withUnsafeBufferPointer { turns in
                names.withUnsafeBufferPointer { names in
                    var request = tq_request(
                        messages: turns.baseAddress, message_count: turns.count, variables: names.baseAddress,
                        variable_count: names.count, add_generation_prompt: isOpen, date: date.components)
                    return tq_template_render(parsed, &request)
                }
            }
        }
        defer { tq_rendering_free(rendering) }
        switch tq_rendering_outcome(rendering) {
        case tq_outcome_rendered:
            let pieces = (0..<tq_rendering_piece_count(rendering)).map { index in
                Piece(
                    text: String(tq_rendering_piece(rendering, index)),
                    isInput: tq_rendering_piece_is_input(rendering, index))
            }
            return Rendering(pieces: pieces, usesDate: tq_rendering_uses_date(rendering))
        case tq_outcome_refused: throw Failure.refused(String(tq_rendering_complaint(rendering)))
        default: throw Failure.failed(String(tq_rendering_complaint(rendering)))
        }
    }

    /// The nearest layout that llama.cpp's C interface knows, laid out around placeholders for the messages.
    private func namedLayout(_ messages: [Message], isOpen: Bool) throws -> Rendering {
        let strings = messages.enumerated().flatMap { [strdup($1.role), strdup(" " + Self.placeholder($0) + " ")] }
        defer { for string in strings { free(string) } }
        let chat = messages.indices.map { llama_chat_message(role: strings[2 * $0], content: strings[2 * $0 + 1]) }
        var buffer = [CChar](repeating: 0, count: 4096 + 256 * messages.count)
        var length = llama_chat_apply_template(source, chat, chat.count, isOpen, &buffer, Int32(buffer.count))
        if Int(length) > buffer.count {
            buffer = [CChar](repeating: 0, count: Int(length))
            length = llama_chat_apply_template(source, chat, chat.count, isOpen, &buffer, length)
        }
        guard length > 0 else { throw Failure.unknownLayout }
        let whole = String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var rest = Substring(whole)
        var pieces: [Piece] = []
        for (index, message) in messages.enumerated() {
            // Layouts that trim messages take the spaces of the placeholder away, too.
            let kept = " " + Self.placeholder(index) + " "
            let isKept = rest.contains(kept)
            guard let range = rest.range(of: isKept ? kept : Self.placeholder(index)) else {
                throw Failure.unknownLayout
            }
            pieces.append(Piece(text: String(rest[..<range.lowerBound]), isInput: false))
            let content = isKept ? message.content : message.content.trimmingCharacters(in: .whitespacesAndNewlines)
            pieces.append(Piece(text: content, isInput: true))
            rest = rest[range.upperBound...]
        }
        pieces.append(Piece(text: String(rest), isInput: false))
        return Rendering(pieces: pieces.filter { !$0.text.isEmpty }, usesDate: false)
    }

    private static func placeholder(_ index: Int) -> String { "\u{E000}\(index)\u{E001}" }
}

/// Keeps the bytes of texts alive while C reads them.
private final class TextArena {
    private var buffers: [UnsafeMutableBufferPointer<UInt8>] = []

    func text(_ string: String) -> tq_text {
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, string.utf8.count))
        _ = buffer.initialize(fromContentsOf: string.utf8)
        buffers.append(buffer)
        return tq_text(
            bytes: UnsafeRawPointer(buffer.baseAddress!).assumingMemoryBound(to: CChar.self),
            length: string.utf8.count)
    }

    func use<Result>(_ work: (TextArena) throws -> Result) rethrows -> Result {
        defer { for buffer in buffers { buffer.deallocate() } }
        return try work(self)
    }
}

extension String {
    fileprivate init(_ text: tq_text) {
        guard let bytes = text.bytes, text.length > 0 else {
            self = ""
            return
        }
        let raw = UnsafeRawBufferPointer(start: bytes, count: text.length)
        self = String(decoding: raw, as: UTF8.self)
    }
}

extension TemplateDate {
    fileprivate var components: tq_date {
        tq_date(
            year: Int32(year), month: Int32(month), day: Int32(day), hour: Int32(hour), minute: Int32(minute),
            second: Int32(second))
    }
}
