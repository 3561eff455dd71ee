import TransferQ
import TransferQRewards
import TransferQRuntime

/// What requests for chats and for completions have in common.
struct AnswerFields: Decodable, Sendable {
    let model: String?
    /// Nil for the preset's.
    let maximumTokens: Int?
    let choices: Int
    /// Nil for one that nobody knows before.
    let seed: UInt64?
    let stop: [String]
    let temperature: Double?
    let topP: Double?
    let isStreamed: Bool
    let includesUsage: Bool
    let guidance: GuidanceFields
    /// Fields that nobody here knows.
    let unknown: [String]

    private static let known: Set<String> = [
        "model", "max_tokens", "max_completion_tokens", "n", "seed", "stop", "temperature", "top_p", "stream",
        "stream_options", "transferq", "user", "metadata", "store", "response_format", "tool_choice", "function_call",
        "parallel_tool_calls", "best_of", "modalities",
    ]

    /// What this server does not do, each with what to do instead. A neutral value (null, 0, false, an empty list) is let pass.
    private static let refused: [(name: String, advice: String)] = [
        ("tools", "ask without tools"), ("functions", "ask without functions"), ("audio", "ask for text"),
        ("logit_bias", "a reward, such as keywords:, makes words likelier"),
        ("presence_penalty", "leave it out, or give 0"), ("frequency_penalty", "leave it out, or give 0"),
        ("prediction", "leave it out"), ("web_search_options", "leave it out"), ("suffix", "leave it out"),
    ]

    /// - Parameter others: fields that the kind of request knows beside these.
    init(from decoder: any Decoder, others: Set<String>) throws {
        let fields = try decoder.container(keyedBy: NamedKey.self)
        func value<Value: Decodable>(_ name: String, _ type: Value.Type = Value.self) throws -> Value? {
            try fields.decodeIfPresent(Value.self, forKey: NamedKey(name))
        }
        try Self.refuseWhatIsNotThere(fields)
        model = try value("model")
        let tokens: Int? = try value("max_completion_tokens") ?? value("max_tokens")
        if let tokens, tokens < 1 {
            throw APIError.invalid("max_tokens must be at least 1, not \(tokens)", parameter: "max_tokens")
        }
        maximumTokens = tokens
        let number: Int = try value("n") ?? 1
        let best: Int = try value("best_of") ?? number
        guard number >= 1, best == number else {
            throw APIError.invalid(
                best == number
                    ? "n must be at least 1, not \(number)"
                    : "best_of is not supported beside n; the method best-of-n keeps the answer with the highest reward",
                parameter: best == number ? "n" : "best_of")
        }
        choices = number
        // OpenAI's seeds are signed.
        seed = try value("seed", Int64.self).map { UInt64(bitPattern: $0) }
        stop = try value("stop", TextOrList.self)?.texts ?? []
        temperature = try value("temperature")
        topP = try value("top_p")
        isStreamed = try value("stream") ?? false
        includesUsage = try value("stream_options", StreamOptions.self)?.includesUsage ?? false
        guidance = try value("transferq") ?? GuidanceFields()
        let names = Self.known.union(others).union(Self.refused.map(\.name))
        unknown = fields.allKeys.map(\.stringValue).filter { !names.contains($0) }.sorted()
    }

    init(from decoder: any Decoder) throws { try self.init(from: decoder, others: []) }

    private static func refuseWhatIsNotThere(_ fields: KeyedDecodingContainer<NamedKey>) throws {
        for (name, advice) in refused {
            if let value = try fields.decodeIfPresent(AnyJSON.self, forKey: NamedKey(name)), !value.isNeutral {
                throw APIError.invalid(
                    "\(name) is not supported by this server; \(advice)", parameter: name, code: "unsupported_parameter"
                )
            }
        }
        struct Format: Decodable { let type: String }
        if let format = try fields.decodeIfPresent(Format.self, forKey: NamedKey("response_format")),
            format.type != "text"
        {
            throw APIError.invalid(
                "response_format of the type \(format.type.prefix(40)) is not supported by this server; ask for text, or "
                    + "guide with a reward of the kind regex", parameter: "response_format",
                code: "unsupported_parameter")
        }
        for name in ["tool_choice", "function_call"] {
            if let value = try fields.decodeIfPresent(AnyJSON.self, forKey: NamedKey(name)), !value.isNeutral {
                throw APIError.invalid(
                    "\(name) is not supported by this server; leave it out, or give \"none\"", parameter: name,
                    code: "unsupported_parameter")
            }
        }
        if let kinds = try fields.decodeIfPresent([String].self, forKey: NamedKey("modalities")), kinds != ["text"] {
            throw APIError.invalid(
                "modalities other than [\"text\"] are not supported by this server", parameter: "modalities",
                code: "unsupported_parameter")
        }
    }

    private struct StreamOptions: Decodable {
        let includesUsage: Bool?

        private enum CodingKeys: String, CodingKey { case includesUsage = "include_usage" }
    }
}

/// A text, or a list of texts.
struct TextOrList: Decodable, Sendable {
    let texts: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // A value of another kind is a list, or says what is wrong as one.
        if let text = try? container.decode(String.self) {
            texts = [text]
        } else {
            texts = try container.decode([String].self)
        }
    }
}
