import TransferQRewards

/// `POST /v1/completions`: texts that are continued without a chat template.
struct CompletionRequest: Decodable, Sendable {
    let prompts: [String]
    let fields: AnswerFields
    /// Likeliest tokens told with every step; nil without log-probabilities.
    let topLogProbabilities: Int?

    static let mostTopLogProbabilities = 5

    private enum CodingKeys: String, CodingKey { case prompt, logprobs, echo }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        fields = try AnswerFields(from: decoder, others: ["prompt", "logprobs", "echo"])
        if try container.decodeIfPresent(Bool.self, forKey: .echo) ?? false {
            throw APIError.invalid(
                "echo is not supported by this server, which gives log-probabilities of what it writes, not of what it "
                    + "reads; leave echo out", parameter: "echo", code: "unsupported_parameter")
        }
        // A list of another kind is texts, or says what is wrong as such.
        if let tokens = try? container.decode([AnyJSON].self, forKey: .prompt), tokens.contains(where: Self.isToken) {
            throw APIError.invalid(
                "prompts in tokens are not supported by this server; give a text, or a list of texts",
                parameter: "prompt",
                code: "unsupported_parameter")
        }
        prompts = try container.decode(TextOrList.self, forKey: .prompt).texts
        guard !prompts.isEmpty, prompts.allSatisfy({ !$0.isEmpty }) else {
            throw APIError.invalid("prompt holds no text; give at least one character", parameter: "prompt")
        }
        let count = try container.decodeIfPresent(Int.self, forKey: .logprobs)
        if let count, !(0...Self.mostTopLogProbabilities).contains(count) {
            throw APIError.invalid(
                "logprobs must be between 0 and \(Self.mostTopLogProbabilities), not \(count)", parameter: "logprobs")
        }
        topLogProbabilities = count
    }

    private static func isToken(_ value: AnyJSON) -> Bool {
        switch value {
        case .number, .array: true
        default: false
        }
    }
}
