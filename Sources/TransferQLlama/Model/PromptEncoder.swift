import CLlama
import Foundation
import TransferQ

/// Turns conversations into tokens such that only the template's own markers become special tokens.
///
/// llama.cpp lays out the template around placeholders. Special tokens are looked for in the template's text alone;
/// the stretches between them, messages included, are tokenised as plain text.
@InferenceActor
struct PromptEncoder {
    let model: LlamaModel

    private var vocabulary: OpaquePointer? { llama_model_get_vocab(model.handle.pointer) }

    /// - Parameter isOpen: whether an assistant's answer is to follow.
    func encode(_ messages: [Message], isOpen: Bool = true) throws -> [Token] {
        guard messages.contains(where: { !$0.content.allSatisfy(\.isWhitespace) }) else {
            throw LlamaError.emptyPrompt
        }
        // A role stands in the template's own text, where special tokens are looked for.
        for (index, message) in messages.enumerated() where message.role.wholeMatch(of: /[A-Za-z_]{1,32}/) == nil {
            throw LlamaError.invalidRole(message: index + 1, role: message.role)
        }
        guard let template = model.chatTemplate else { throw LlamaError.noChatTemplate(model: model.path) }
        var runs: [Run] = []
        var rest = Substring(try layOut(messages.map(\.role), template: template, isOpen: isOpen))
        for (index, message) in messages.enumerated() {
            // Templates that trim messages take the spaces of the placeholder away, too.
            let kept = " " + Self.placeholder(index) + " "
            let isKept = rest.contains(kept)
            guard let range = rest.range(of: isKept ? kept : Self.placeholder(index)) else {
                throw LlamaError.unknownChatTemplate(model: model.path)
            }
            append(template: rest[..<range.lowerBound], to: &runs)
            let content = isKept ? message.content : message.content.trimmingCharacters(in: .whitespacesAndNewlines)
            append(text: content, to: &runs)
            rest = rest[range.upperBound...]
        }
        append(template: rest, to: &runs)
        return try tokens(of: runs)
    }

    func encode(raw text: String) throws -> [Token] {
        guard !text.isEmpty else { throw LlamaError.emptyPrompt }
        return try tokens(of: [.text(text)])
    }

    /// What a classifier reads of a completion: its template for rerankers if it has one, its chat template, or
    /// "[CLS] conversation [SEP] response [SEP]".
    func encode(_ completion: Completion) throws -> [Token] {
        let asked = completion.conversation.map(\.content).joined(separator: "\n")
        if let template = llama_model_chat_template(model.handle.pointer, "rerank").map({ String(cString: $0) }) {
            var runs: [Run] = []
            var rest = template[...]
            while let hole = rest.firstMatch(of: /\{(query|document)\}/) {
                append(template: rest[..<hole.range.lowerBound], to: &runs)
                append(text: hole.1 == "query" ? asked : completion.text, to: &runs)
                rest = rest[hole.range.upperBound...]
            }
            append(template: rest, to: &runs)
            return try tokens(of: runs)
        }
        if model.chatTemplate != nil {
            return try encode(
                completion.conversation + [Message(role: "assistant", content: completion.text)], isOpen: false)
        }
        let (start, separator) = (llama_vocab_bos(vocabulary), llama_vocab_sep(vocabulary))
        let texts = (completion.conversation.isEmpty ? [] : [asked]) + [completion.text]
        return (start >= 0 ? [start] : [])
            + texts.flatMap { plainTokens(of: $0) + (separator >= 0 ? [separator] : []) }
    }

    private enum Run {
        case marker(Token)
        case text(String)
    }

    private static func placeholder(_ index: Int) -> String { "\u{E000}\(index)\u{E001}" }

    /// The template with a placeholder for each message, up to where the assistant's answer begins if it is open.
    private func layOut(_ roles: [String], template: String, isOpen: Bool) throws -> String {
        let strings = roles.enumerated().flatMap { [strdup($1), strdup(" " + Self.placeholder($0) + " ")] }
        defer { for string in strings { free(string) } }
        let chat = roles.indices.map { llama_chat_message(role: strings[2 * $0], content: strings[2 * $0 + 1]) }
        var buffer = [CChar](repeating: 0, count: 4096 + 256 * roles.count)
        var length = llama_chat_apply_template(template, chat, chat.count, isOpen, &buffer, Int32(buffer.count))
        if Int(length) > buffer.count {
            buffer = [CChar](repeating: 0, count: Int(length))
            length = llama_chat_apply_template(template, chat, chat.count, isOpen, &buffer, length)
        }
        guard length > 0 else { throw LlamaError.unknownChatTemplate(model: model.path) }
        return String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func append(text: String, to runs: inout [Run]) {
        guard !text.isEmpty else { return }
        if case .text(let before)? = runs.last {
            runs[runs.count - 1] = .text(before + text)
        } else {
            runs.append(.text(text))
        }
    }

    /// Splits a piece of the template at its special tokens, the longest match first.
    private func append(template piece: Substring, to runs: inout [Run]) {
        let markers = model.vocabulary.markers.filter { piece.contains($0.key) }
            .sorted { $0.key.utf8.count > $1.key.utf8.count }
        var plain = ""
        var rest = piece
        while let character = rest.first {
            if let (text, token) = markers.first(where: { rest.hasPrefix($0.key) }) {
                append(text: plain, to: &runs)
                plain = ""
                runs.append(.marker(token))
                rest = rest.dropFirst(text.count)
            } else {
                plain.append(character)
                rest = rest.dropFirst()
            }
        }
        append(text: plain, to: &runs)
    }

    private func tokens(of runs: [Run]) throws -> [Token] {
        var tokens: [Token] = []
        for run in runs {
            switch run {
            case .marker(let token): tokens.append(token)
            case .text(let text): tokens += plainTokens(of: text)
            }
        }
        if let vocabulary, llama_vocab_get_add_bos(vocabulary), tokens.first != llama_vocab_bos(vocabulary) {
            tokens.insert(llama_vocab_bos(vocabulary), at: 0)
        }
        guard !tokens.isEmpty else { throw LlamaError.emptyPrompt }
        return tokens
    }

    /// Tokens of a text that holds no special token, even where it spells one.
    ///
    /// Some vocabularies list their markers as "user defined", which llama.cpp finds in plain text as well. Cutting the
    /// text inside such a marker leaves it as the letters it is written in.
    func plainTokens(of text: String) -> [Token] {
        let tokens = tokenized(text)
        let spelled = model.vocabulary.markers.filter { tokens.contains($0.value) }
        guard !spelled.isEmpty else { return tokens }
        let bytes = Array(text.utf8)
        var cuts: Set<Int> = []
        for marker in spelled.keys.map({ Array($0.utf8) }) where marker.count > 1 && marker.count <= bytes.count {
            for start in 0...(bytes.count - marker.count)
            where bytes[start..<(start + marker.count)].elementsEqual(marker) {
                // Behind the first letter, which in a marker is one byte.
                cuts.insert(start + 1)
            }
        }
        var start = 0
        return (cuts.sorted() + [bytes.count]).flatMap { end in
            defer { start = end }
            return tokenized(String(decoding: bytes[start..<end], as: UTF8.self))
        }
    }

    private func tokenized(_ text: String) -> [Token] {
        let length = Int32(text.utf8.count)
        var tokens = [Token](repeating: 0, count: Int(length) + 8)
        var count = llama_tokenize(vocabulary, text, length, &tokens, Int32(tokens.count), false, false)
        if count < 0, count > Int32.min {
            tokens = [Token](repeating: 0, count: Int(-count))
            count = llama_tokenize(vocabulary, text, length, &tokens, -count, false, false)
        }
        return Array(tokens.prefix(Int(max(0, count))))
    }
}
