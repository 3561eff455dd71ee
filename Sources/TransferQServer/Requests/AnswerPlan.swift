import TransferQ
import TransferQRuntime

/// What a request comes to: one request of the runtime for each choice. The only place where fields of the network become
/// specifications.
struct AnswerPlan: Sendable {
    let preset: Preset
    /// In the order of the choices: all choices of the first prompt, then those of the second.
    let requests: [AnswerRequest]
    let method: ConfiguredMethod
    let isTraced: Bool
    let topLogProbabilities: Int?
    /// What a person should know of the request, a sentence each.
    let notices: [String]

    /// Longest answer in tokens where neither the request nor the preset says.
    static let standardLength = 256
    private static let longestStop = (count: 16, bytes: 1024)

    /// - Parameter conversations: one for each prompt.
    /// - Throws: ``APIError``, and what specifications say of themselves.
    init(
        _ fields: AnswerFields, conversations: [[Message]], form: PromptForm, topLogProbabilities: Int?,
        presets: PresetTable, limits: ServerLimits
    ) throws {
        preset = try presets.preset(fields.model)
        let (method, methodNotices) = try Self.method(fields, of: preset)
        self.method = try method.configured()
        isTraced = fields.guidance.trace
        self.topLogProbabilities = topLogProbabilities
        guard conversations.count * fields.choices <= limits.choices, fields.choices <= limits.choices else {
            throw APIError.invalid(
                "the request asks for \(conversations.count) prompts with \(fields.choices) choices each, and this server "
                    + "gives \(limits.choices) choices in all; ask for fewer", parameter: "n")
        }
        guard conversations.allSatisfy({ $0.count <= limits.messages }) else {
            throw APIError.invalid(
                "the conversation has more than \(limits.messages) messages, which is as many as may be; shorten it",
                parameter: "messages")
        }
        guard fields.stop.count <= Self.longestStop.count,
            fields.stop.allSatisfy({ $0.utf8.count <= Self.longestStop.bytes })
        else {
            throw APIError.invalid(
                "stop may hold up to \(Self.longestStop.count) texts of up to \(Self.longestStop.bytes) bytes",
                parameter: "stop")
        }
        if form != .chat, preset.spec.baseline?.system != nil {
            throw APIError.invalid(
                "the model \(preset.name) has a baseline under a system prompt, for which a completion has no place; use "
                    + "/v1/chat/completions", parameter: "model")
        }
        let (answerLimits, lengthNotices) = try Self.limits(fields, of: preset, limits)
        let scoring = try preset.scoring(weights: fields.guidance.weights)
        let seed = fields.seed ?? UInt64.random(in: 0..<1 << 53)
        requests = try conversations.flatMap { conversation in
            try (0..<fields.choices).map { choice in
                try AnswerRequest(
                    messages: conversation, form: form, method: method, scoring: scoring, limits: answerLimits,
                    seed: seed &+ UInt64(choice))
            }
        }
        let strangers = fields.unknown.map { $0.prefix(60) }.joined(separator: ", ")
        notices =
            (strangers.isEmpty ? [] : ["this server does not know, and left out: \(strangers)"]) + methodNotices
            + lengthNotices
    }

    /// The method with its parameters: the request's, then the preset's as far as the method knows them.
    private static func method(
        _ fields: AnswerFields, of preset: Preset
    ) throws -> (method: MethodSpec, notices: [String]) {
        let standard = try preset.spec.configuredMethod
        let guidance = fields.guidance
        let name = guidance.method ?? standard.name
        let known = Set(try DecodingMethods.make(name).parameters.map(\.name))
        var parameters = standard.parameters.filter { known.contains($0.key) }
        var notices: [String] = []
        func offer(_ field: String, _ parameter: String, _ value: Double?, neutral: Double) {
            guard let value, guidance.parameters[parameter] == nil else { return }
            if known.contains(parameter) {
                parameters[parameter] = .number(value)
            } else if value != neutral {
                notices.append("\(field) has no part in the method \(name), and was left out")
            }
        }
        offer("temperature", "temperature", fields.temperature, neutral: name == GreedyDecoding.name ? 0 : 1)
        offer("top_p", "top-p", fields.topP, neutral: 1)
        // Nothing is drawn at temperature 0, as OpenAI's clients ask for plain decoding.
        return (try MethodSpec(name, parameters.merging(guidance.parameters) { $1 }), notices)
    }

    private static func limits(
        _ fields: AnswerFields, of preset: Preset, _ limits: ServerLimits
    ) throws -> (limits: AnswerLimits, notices: [String]) {
        let standard = try preset.spec.limits ?? AnswerLimits(maximumTokens: standardLength)
        let wanted = fields.maximumTokens ?? standard.maximumTokens
        let budget = try DecodingTask.Budget(
            seconds: fields.guidance.timeBudget ?? standard.budget.seconds,
            tokens: fields.guidance.tokenBudget ?? standard.budget.tokens)
        let answer = try AnswerLimits(
            maximumTokens: min(wanted, limits.answerTokens), budget: budget,
            stop: fields.stop.isEmpty ? standard.stop : fields.stop)
        let notice = "max_tokens is \(wanted), and this server writes \(limits.answerTokens) tokens at most"
        return (answer, wanted > limits.answerTokens ? [notice] : [])
    }
}
