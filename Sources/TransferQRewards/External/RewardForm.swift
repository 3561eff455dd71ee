import Foundation
import TransferQ

/// The servers that rewards can be had from, and what each is sent. The end of the address says which it is;
/// `#form=NAME` behind it says otherwise.
///
/// | form, and end of the address | server | what is sent | what it answers |
/// |---|---|---|---|
/// | `classify` | vLLM | `{"messages": […], "use_activation": false}`, a request for each text | `{"data": [{"index": 0, "probs": [1.5]}]}` |
/// | `pooling` | vLLM | the same with `"task": "classify"` | `{"data": [{"index": 0, "data": [1.5]}]}` |
/// | `score` | vLLM | `{"text_1": [questions], "text_2": [answers], "use_activation": false}` | `{"data": [{"index": 0, "score": 1.5}]}` |
/// | `predict` | TEI | `{"inputs": [[text], …], "raw_scores": true}` | `[[{"label": "LABEL_0", "score": 1.5}], …]` |
/// | `rerank` | TEI, vLLM, llama-server | `{"query": question, "texts": [answers], "documents": [answers], "raw_scores": true, "use_activation": false}`, a request for each question | `[{"index": 0, "score": 1.5}]`, `{"results": [{"index": 0, "relevance_score": 1.5}]}` |
/// | `rewards`, and any other end | ours | `{"completions": [{"conversation": […], "response": "…", "isFinished": false}]}` | `{"rewards": [1.5]}` |
///
/// - **Raw logits** are asked for wherever a server can give them: a sigmoid or softmax flattens good and bad answers alike,
///   and of one label a softmax leaves the number 1. vLLM's field was `activation`, and `softmax` before that, in older
///   versions, which ignore `use_activation` in silence; where all first answers lie between 0 and 1, they are tried as well,
///   and kept when what comes back lies outside.
/// - **Messages** go to servers that take them, so that they apply their own template; the last one is the answer, as
///   `assistant`. A server that takes none (old versions, models without a template) gets texts, and that is said once;
///   `#input=text` asks for it.
/// - **Texts** are dialogues in hh-rlhf's form: `\n\nHuman: question\n\nAssistant: answer`, turn by turn, a system prompt in
///   front.
/// - **Questions** of `score` and `rerank` are the conversation: a single user turn as it is, anything else as a dialogue.
/// - `?model=NAME` in the address goes into the body as well.
/// - TEI takes 32 texts a request unless told otherwise, so `predict` and `rerank` go in parts of 32.
enum RewardForm: String, CaseIterable {
    case rewards, classify, pooling, score, predict, rerank

    /// By the end of an address.
    init(path: String) { self = RewardForm(rawValue: path) ?? .rewards }

    /// How servers of one form are spoken to, which differs with their versions.
    struct Manner: Hashable, Sendable {
        enum Input: String { case messages, text }
        /// The field by which raw logits are asked for.
        enum Activation: CaseIterable { case useActivation, activation, softmax }

        var input: Input
        var activation = Activation.useActivation
    }

    var takesMessages: Bool { self == .classify || self == .pooling }

    /// Whether it has fields for raw logits that went by several names.
    var hasActivations: Bool { takesMessages || self == .score || self == .rerank }

    /// What goes into a request.
    struct Part: Sendable {
        /// Places of the completions.
        let places: [Int]
        let body: Data
    }

    /// The requests that score completions.
    func parts(of completions: [Completion], manner: Manner, model: String?) throws -> [Part] {
        try groups(of: completions, manner: manner).map { places in
            Part(
                places: places,
                body: try body(for: places.map { completions[$0] }, manner: manner, model: model))
        }
    }

    private func groups(of completions: [Completion], manner: Manner) -> [[Int]] {
        switch self {
        case .rewards: [Array(completions.indices)]
        case .classify, .pooling:
            manner.input == .messages
                ? completions.indices.map { [$0] } : Self.chunks(Array(completions.indices), of: 256)
        case .score: Self.chunks(Array(completions.indices), of: 256)
        case .predict: Self.chunks(Array(completions.indices), of: 32)
        case .rerank:
            Dictionary(grouping: completions.indices) { completions[$0].conversation }.values
                .sorted { $0[0] < $1[0] }.flatMap { Self.chunks($0, of: 32) }
        }
    }

    private static func chunks(_ places: [Int], of size: Int) -> [[Int]] {
        stride(from: 0, to: places.count, by: size).map { Array(places[$0...].prefix(size)) }
    }

    private struct Body: Encodable {
        var model: String?
        var messages: [Message]?
        var input: [String]?
        var task: String?
        var text1: [String]?
        var text2: [String]?
        var inputs: [[String]]?
        var query: String?
        var texts: [String]?
        var documents: [String]?
        var rawScores: Bool?
        var useActivation: Bool?
        var activation: Bool?
        var softmax: Bool?

        enum CodingKeys: String, CodingKey {
            case model, messages, input, task, inputs, query, texts, documents, activation, softmax
            case text1 = "text_1"
            case text2 = "text_2"
            case rawScores = "raw_scores"
            case useActivation = "use_activation"
        }
    }

    private func body(for completions: [Completion], manner: Manner, model: String?) throws -> Data {
        var body = Body(model: model)
        switch self {
        case .rewards: return try RewardProtocol.encoded(RewardProtocol.Request(completions))
        case .classify, .pooling:
            switch manner.input {
            case .messages: body.messages = completions.first?.turns
            case .text: body.input = completions.map(\.turns.dialogue)
            }
            if self == .pooling { body.task = "classify" }
        case .score:
            body.text1 = completions.map(\.question)
            body.text2 = completions.map(\.text)
        case .predict:
            body.inputs = completions.map { [$0.turns.dialogue] }
            body.rawScores = true
        case .rerank:
            // TEI reads `texts`, the others `documents`; each ignores what it does not know.
            body.query = completions.first?.question
            body.texts = completions.map(\.text)
            body.documents = body.texts
            body.rawScores = true
        }
        if hasActivations {
            // One field alone: versions that know two of them take the older one as true whatever it says.
            switch manner.activation {
            case .useActivation: body.useActivation = false
            case .activation: body.activation = false
            case .softmax: body.softmax = false
            }
        }
        return try RewardProtocol.encoded(body)
    }
}

extension Completion {
    /// The conversation with the response as its last turn.
    fileprivate var turns: [Message] { conversation + [Message(role: "assistant", content: text)] }

    /// What the response answers, as one text.
    fileprivate var question: String {
        conversation.count == 1 && conversation[0].role == "user"
            ? conversation[0].content : String(conversation.dialogue.trimmingPrefix("\n\n"))
    }
}
