import Hummingbird
import Synchronization
import TransferQ
import TransferQRuntime

/// `POST /v1/tokenize` and `POST /v1/rewards`: what answers nothing.
struct TextEndpoints {
    let server: ServerState

    private struct Tokens: Encodable {
        let model: String
        let count: Int
        let contextLength: Int?
        let tokens: [Token]

        private enum CodingKeys: String, CodingKey {
            case model, count, tokens
            // As vLLM calls it.
            case contextLength = "max_model_len"
        }
    }

    @Sendable func tokenize(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let wanted = try await JSONBody.read(TokenizeRequest.self, from: &request, limits: server.limits)
        let preset = try server.presets.preset(wanted.model)
        return try await told(preset, context) {
            let tokens =
                switch wanted.input {
                case .text(let text): try preset.tokenizer.tokens(of: text)
                case .conversation(let messages):
                    try await preset.runtime.models().models.prompts(for: messages, form: .chat).reference
                }
            return .json(
                Tokens(model: preset.name, count: tokens.count, contextLength: preset.contextLength, tokens: tokens))
        }
    }

    private struct Rewards: Encodable {
        struct Score: Encodable {
            let index: Int
            let reward: Double
            let parts: [String: Double]
        }

        let object = "list"
        let model: String
        let data: [Score]
    }

    @Sendable func rewards(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let wanted = try await JSONBody.read(RewardsRequest.self, from: &request, limits: server.limits)
        let preset = try server.presets.preset(wanted.model)
        guard wanted.responses.count <= server.limits.messages, wanted.conversation.count <= server.limits.messages
        else {
            throw APIError.invalid(
                "responses and messages may hold up to \(server.limits.messages) texts each; send fewer",
                parameter: "responses")
        }
        let scoring = try preset.scoring(weights: wanted.weights)
        guard scoring.reward != nil else {
            throw APIError.invalid("the model \(preset.name) has no reward; choose another one", parameter: "model")
        }
        guard server.beginScoring() else {
            throw APIError(
                .tooManyRequests,
                "\(server.parallel) requests are being scored already, as many as may; ask again later",
                code: "line_full", retryAfter: 1)
        }
        defer { server.endScoring() }
        return try await told(preset, context) {
            guard let model = try await preset.runtime.rewards(for: scoring).target else {
                throw APIError.invalid("the model \(preset.name) has no reward", parameter: "model")
            }
            let completions = try wanted.responses.map { text in
                Completion(
                    conversation: wanted.conversation, text: text, tokens: try preset.tokenizer.tokens(of: text),
                    isFinished: true)
            }
            let scores = try await model.checkedScores(for: completions)
            return .json(
                Rewards(
                    model: preset.name,
                    data: scores.enumerated().map { index, score in
                        Rewards.Score(
                            index: index, reward: score.reward, parts: preset.parts(of: score.reward, score.parts))
                    }))
        }
    }

    /// Runs work whose errors may name files of a preset; ends it when the client goes.
    private func told(
        _ preset: Preset, _ context: ServerContext, _ work: @escaping @Sendable () async throws -> Response
    ) async throws -> Response {
        context.record.note { $0.model = preset.name }
        let watch = try await context.channel.watch
        let task = Task { try await work() }
        watch.follow { task.cancel() }
        defer { watch.follow(nil) }
        do { return try await task.value } catch {
            let failure = Failure(error, preset: preset, retryAfter: server.retryAfter)
            if let detail = failure.detail { server.log.say("error: \(detail) (request \(context.id))") }
            context.record.note { $0.error = failure.answer.code ?? failure.answer.type }
            throw failure.answer
        }
    }
}

extension ServerState {
    /// Whether there is room for one more request that has texts scored.
    fileprivate func beginScoring() -> Bool {
        scoring.withLock { count in
            guard count < parallel else { return false }
            count += 1
            return true
        }
    }

    fileprivate func endScoring() { scoring.withLock { $0 -= 1 } }
}
