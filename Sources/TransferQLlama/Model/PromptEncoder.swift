import CLlama
import Foundation
import TransferQ

/// Turns conversations into tokens such that only the template's own markers become special tokens.
///
/// Special tokens are looked for in what the template itself writes; what people wrote is tokenised as plain text.
struct PromptEncoder {
    let model: LlamaModel

    private var vocabulary: OpaquePointer? { llama_model_get_vocab(model.handle.pointer) }

    /// - Parameter isOpen: whether an assistant's answer is to follow.
    func encode(_ messages: [Message], isOpen: Bool = true) throws -> [Token] {
        try layOut(messages, isOpen: isOpen, date: .current).tokens
    }

    func layOut(_ messages: [Message], isOpen: Bool, date: TemplateDate) throws -> PromptLayout {
        guard messages.contains(where: { !$0.content.allSatisfy(\.isWhitespace) }) else {
            throw LlamaError.emptyPrompt
        }
        // A role stands in the template's own text, where special tokens are looked for.
        for (index, message) in messages.enumerated() where message.role.wholeMatch(of: /[A-Za-z_]{1,32}/) == nil {
            throw LlamaError.invalidRole(message: index + 1, role: message.role)
        }
        let template = try model.template()
        let fitted: ChatTemplate.Fitted
        do { fitted = try template.fitted(messages, isOpen: isOpen, date: date) } catch let failure
            as ChatTemplate.Failure
        {
            let place = template.refusedMessage(of: messages, isOpen: isOpen, date: date, failure: failure)
            throw LlamaError(failure, model: model.path, message: place, of: messages)
        }
        var runs: [Run] = []
        for piece in fitted.rendering.pieces {
            if piece.isInput {
                append(text: piece.text, to: &runs)
            } else {
                append(template: Substring(piece.text), to: &runs)
            }
        }
        return PromptLayout(
            tokens: try tokens(of: runs), text: fitted.rendering.text, isSystemFolded: fitted.isSystemFolded,
            date: fitted.rendering.usesDate ? date : nil)
    }

    /// - Parameter readsMarkers: whether what the text holds of the model's special tokens is meant as such.
    func encode(raw text: String, readsMarkers: Bool = false) throws -> [Token] {
        guard !text.isEmpty else { throw LlamaError.emptyPrompt }
        guard readsMarkers else { return try tokens(of: [.text(text)]) }
        var runs: [Run] = []
        append(template: Substring(text), to: &runs)
        return try tokens(of: runs)
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
            + texts.flatMap { model.tokenizer.tokens(of: $0) + (separator >= 0 ? [separator] : []) }
    }

    private typealias Run = LlamaTokenizer.Run

    private func append(text: String, to runs: inout [Run]) {
        guard !text.isEmpty else { return }
        if case .text(let before)? = runs.last {
            runs[runs.count - 1] = .text(before + text)
        } else {
            runs.append(.text(text))
        }
    }

    /// Appends a piece of the template, whose special tokens are meant as such.
    private func append(template piece: Substring, to runs: inout [Run]) {
        for part in model.tokenizer.split(piece) {
            switch part {
            case .marker(let token): runs.append(.marker(token))
            case .text(let text): append(text: text, to: &runs)
            }
        }
    }

    private func tokens(of runs: [Run]) throws -> [Token] {
        var tokens: [Token] = []
        for run in runs {
            switch run {
            case .marker(let token): tokens.append(token)
            case .text(let text): tokens += model.tokenizer.tokens(of: text)
            }
        }
        if let vocabulary, llama_vocab_get_add_bos(vocabulary), tokens.first != llama_vocab_bos(vocabulary) {
            tokens.insert(llama_vocab_bos(vocabulary), at: 0)
        }
        guard !tokens.isEmpty else { throw LlamaError.emptyPrompt }
        return tokens
    }
}

extension LlamaTokenizer {
    /// A stretch of a text.
    enum Run {
        case marker(Token)
        case text(String)
    }

    /// Splits a text at its special tokens, the longest match first.
    func split(_ piece: Substring) -> [Run] {
        let found = markers.filter { piece.contains($0.key) }.sorted { $0.key.utf8.count > $1.key.utf8.count }
        var runs: [Run] = []
        var plain = ""
        var rest = piece
        while let character = rest.first {
            if let (text, token) = found.first(where: { rest.hasPrefix($0.key) }) {
                if !plain.isEmpty { runs.append(.text(plain)) }
                plain = ""
                runs.append(.marker(token))
                rest = rest.dropFirst(text.count)
            } else {
                plain.append(character)
                rest = rest.dropFirst()
            }
        }
        if !plain.isEmpty { runs.append(.text(plain)) }
        return runs
    }

    /// The first special token of a text, if there is one.
    func firstMarker(of text: String) -> Token? {
        split(text[...]).lazy.compactMap { if case .marker(let token) = $0 { token } else { nil } }.first
    }
}
