import TransferQ

/// `POST /v1/tokenize`: a text, or a conversation as the model reads it.
struct TokenizeRequest: Decodable, Sendable {
    enum Input: Sendable {
        case text(String)
        case conversation([Message])
    }

    let model: String?
    let input: Input

    private enum CodingKeys: CodingKey { case model, prompt, text, messages }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        model = try container.decodeIfPresent(String.self, forKey: .model)
        let text =
            try container.decodeIfPresent(String.self, forKey: .prompt)
            ?? container.decodeIfPresent(String.self, forKey: .text)
        let messages = try container.decodeIfPresent([ChatMessage].self, forKey: .messages)
        switch (text, messages) {
        case (let text?, nil): input = .text(text)
        case (nil, let messages?): input = .conversation(messages.map(\.message))
        default:
            throw APIError.invalid("give either prompt, a text, or messages, a conversation", parameter: "prompt")
        }
    }
}

/// `POST /v1/rewards`: what a preset's rewards say of texts.
struct RewardsRequest: Decodable, Sendable {
    let model: String?
    /// What the responses answer; may be empty for rewards that read the response alone.
    let conversation: [Message]
    let responses: [String]
    let weights: [String: Double]

    private enum CodingKeys: CodingKey { case model, prompt, messages, responses, transferq }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        model = try container.decodeIfPresent(String.self, forKey: .model)
        let prompt = try container.decodeIfPresent(String.self, forKey: .prompt)
        let messages = try container.decodeIfPresent([ChatMessage].self, forKey: .messages)
        guard prompt == nil || messages == nil else {
            throw APIError.invalid("give prompt or messages, not both", parameter: "prompt")
        }
        conversation = messages?.map(\.message) ?? prompt.map { [Message(role: "user", content: $0)] } ?? []
        responses = try container.decode(TextOrList.self, forKey: .responses).texts
        guard !responses.isEmpty else {
            throw APIError.invalid("responses holds no text; give at least one", parameter: "responses")
        }
        weights = try container.decodeIfPresent(GuidanceFields.self, forKey: .transferq)?.weights ?? [:]
    }
}
