import TransferQ
import TransferQRewards

/// `POST /v1/chat/completions`.
struct ChatRequest: Decodable, Sendable {
    let messages: [Message]
    let fields: AnswerFields
    /// Likeliest tokens told with every step; nil without log-probabilities.
    let topLogProbabilities: Int?

    static let mostTopLogProbabilities = 20

    private enum CodingKeys: String, CodingKey {
        case messages, logprobs
        case topLogprobs = "top_logprobs"
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        fields = try AnswerFields(from: decoder, others: ["messages", "logprobs", "top_logprobs"])
        messages = try container.decode([ChatMessage].self, forKey: .messages).map(\.message)
        let isOn = try container.decodeIfPresent(Bool.self, forKey: .logprobs) ?? false
        let count = try container.decodeIfPresent(Int.self, forKey: .topLogprobs)
        if let count, !(0...Self.mostTopLogProbabilities).contains(count) {
            throw APIError.invalid(
                "top_logprobs must be between 0 and \(Self.mostTopLogProbabilities), not \(count)",
                parameter: "top_logprobs")
        }
        if !isOn, let count, count > 0 {
            throw APIError.invalid(
                "top_logprobs goes with logprobs; give \"logprobs\": true", parameter: "top_logprobs")
        }
        topLogProbabilities = isOn ? count ?? 0 : nil
    }
}

/// A turn, whose content is a text or a list of parts that are texts.
struct ChatMessage: Decodable {
    let message: Message

    private enum CodingKeys: String, CodingKey {
        case role, content
        case toolCalls = "tool_calls"
    }

    private struct Part: Decodable {
        let type: String
        let text: String?
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let role = try container.decode(String.self, forKey: .role)
        guard ["system", "developer", "user", "assistant"].contains(role) else {
            throw APIError.invalid(
                "the role \"\(role.prefix(40))\" is not supported by this server; roles are system, user and assistant",
                parameter: "messages", code: "unsupported_parameter")
        }
        if let calls = try container.decodeIfPresent(AnyJSON.self, forKey: .toolCalls), !calls.isNeutral {
            throw APIError.invalid(
                "tool_calls are not supported by this server; leave them out", parameter: "messages",
                code: "unsupported_parameter")
        }
        let content: String
        // A value of another kind is a list of parts, or says what is wrong as one.
        if let text = try? container.decode(String.self, forKey: .content) {
            content = text
        } else {
            content = try container.decode([Part].self, forKey: .content).map { part in
                guard part.type == "text", let text = part.text else {
                    throw APIError.invalid(
                        "a part of the type \"\(part.type.prefix(40))\" is not supported by this server; parts are "
                            + "{\"type\": \"text\", \"text\": \"…\"}", parameter: "messages",
                        code: "unsupported_parameter")
                }
                return text
            }.joined()
        }
        // OpenAI's later name for it; templates know this one.
        message = Message(role: role == "developer" ? "system" : role, content: content)
    }
}
