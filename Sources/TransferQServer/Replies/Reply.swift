import Foundation
import TransferQ
import TransferQEvaluation

/// What stays the same over a reply and all its chunks.
struct ReplyHead: Sendable {
    enum Form: Sendable {
        case chat, completion
    }

    let form: Form
    let id: String
    let created: Int
    let model: String

    init(_ form: Form, model: String) {
        self.form = form
        self.model = model
        let number = String(UInt64.random(in: .min ... .max), radix: 36)
        id = (form == .chat ? "chatcmpl-" : "cmpl-") + number
        created = Int(Date().timeIntervalSince1970)
    }

    func object(isChunk: Bool) -> String {
        switch form {
        case .chat: isChunk ? "chat.completion.chunk" : "chat.completion"
        case .completion: "text_completion"
        }
    }
}

/// A choice of a reply, or a piece of one.
struct ReplyChoice: Encodable, Sendable {
    let form: ReplyHead.Form
    let index: Int
    /// Whether it is a piece, which is added to those before it.
    let isPiece: Bool
    var isFirst = false
    var text = ""
    var finish: FinishReason?
    /// Nil where they were not asked for.
    var probabilities: [StepProbabilities]?
    /// Characters of the answer ahead of this piece.
    var offset = 0
    /// Of a whole choice.
    var figures: ReplyFigures?

    private struct Delta: Encodable {
        var role: String?
        let content: String
    }

    private struct Turn: Encodable {
        let role = "assistant"
        let content: String

        private enum CodingKeys: CodingKey { case role, content, refusal }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(role, forKey: .role)
            try container.encode(content, forKey: .content)
            try container.encodeNil(forKey: .refusal)
        }
    }

    private enum CodingKeys: String, CodingKey {
        case index, delta, message, text, logprobs, transferq
        case finishReason = "finish_reason"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(index, forKey: .index)
        switch form {
        case .completion:
            try container.encode(text, forKey: .text)
            try container.encode(
                probabilities.map { CompletionProbabilities($0, offset: offset) }, forKey: .logprobs)
        case .chat:
            if isPiece {
                try container.encode(Delta(role: isFirst ? "assistant" : nil, content: text), forKey: .delta)
            } else {
                try container.encode(Turn(content: text), forKey: .message)
            }
            try container.encode(probabilities.map { ChatProbabilities(steps: $0) }, forKey: .logprobs)
        }
        try container.encode(finish.map(Self.name), forKey: .finishReason)
        try container.encodeIfPresent(figures, forKey: .transferq)
    }

    /// A budget that is used up cuts an answer as its longest length does.
    private static func name(_ finish: FinishReason) -> String { finish == .stop ? "stop" : "length" }
}

/// A reply, or a chunk of one.
struct Reply: Encodable, Sendable {
    /// The object `transferq` of a chunk.
    struct Extra: Encodable, Sendable {
        var step: TraceLine?
        var notice: String?
        var figures: ReplyFigures?

        private enum CodingKeys: CodingKey { case step, notice }

        func encode(to encoder: any Encoder) throws {
            try figures?.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encodeIfPresent(step, forKey: .step)
            try container.encodeIfPresent(notice, forKey: .notice)
        }
    }

    let head: ReplyHead
    let isChunk: Bool
    var choices: [ReplyChoice] = []
    /// Nil where it is not told.
    var usage: ReplyUsage?
    var extra: Extra?

    private enum CodingKeys: CodingKey { case id, object, created, model, choices, usage, transferq }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(head.id, forKey: .id)
        try container.encode(head.object(isChunk: isChunk), forKey: .object)
        try container.encode(head.created, forKey: .created)
        try container.encode(head.model, forKey: .model)
        try container.encode(choices, forKey: .choices)
        try container.encodeIfPresent(usage, forKey: .usage)
        try container.encodeIfPresent(extra, forKey: .transferq)
    }
}
