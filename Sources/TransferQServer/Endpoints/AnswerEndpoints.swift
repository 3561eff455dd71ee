import HTTPTypes
import Hummingbird
import TransferQ
import TransferQRuntime

/// `POST /v1/chat/completions` and `POST /v1/completions`.
struct AnswerEndpoints {
    let server: ServerState

    @Sendable func chat(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let chat = try await JSONBody.read(ChatRequest.self, from: &request, limits: server.limits)
        let plan = try AnswerPlan(
            chat.fields, conversations: [chat.messages], form: .chat, topLogProbabilities: chat.topLogProbabilities,
            presets: server.presets, limits: server.limits)
        return try await answer(plan, .chat, chat.fields, context)
    }

    @Sendable func completion(_ request: Request, context: ServerContext) async throws -> Response {
        var request = request
        let completion = try await JSONBody.read(CompletionRequest.self, from: &request, limits: server.limits)
        let plan = try AnswerPlan(
            completion.fields, conversations: completion.prompts.map { [Message(role: "user", content: $0)] },
            form: .raw, topLogProbabilities: completion.topLogProbabilities, presets: server.presets,
            limits: server.limits)
        return try await answer(plan, .completion, completion.fields, context)
    }

    private func answer(
        _ plan: AnswerPlan, _ form: ReplyHead.Form, _ fields: AnswerFields, _ context: ServerContext
    ) async throws -> Response {
        context.record.note { content in
            content.model = plan.preset.name
            content.method = plan.method.name
            content.isStreamed = fields.isStreamed
            if server.log.showsPrompts { content.messages = plan.requests.first?.messages }
        }
        do {
            let answer = try await OpenedAnswer(plan, for: context.channel.watch, on: server)
            let builder = ReplyBuilder(form, plan: plan)
            return fields.isStreamed
                ? stream(answer, builder, includesUsage: fields.includesUsage, context)
                : try await whole(answer, builder, context)
        } catch {
            throw told(error, plan, context)
        }
    }

    private func whole(
        _ answer: OpenedAnswer, _ builder: ReplyBuilder, _ context: ServerContext
    ) async throws -> Response {
        var builder = builder
        try await answer.read { event in
            try builder.add(event)
            note(event, context)
        }
        return .json(builder.whole)
    }

    private func stream(
        _ answer: OpenedAnswer, _ builder: ReplyBuilder, includesUsage: Bool, _ context: ServerContext
    ) -> Response {
        let body = ResponseBody { bodyWriter in
            var (writer, builder) = (EventWriter(bodyWriter), builder)
            do {
                for notice in answer.plan.notices { try await writer.send(builder.chunk(notice: notice)) }
                try await answer.read { event in
                    note(event, context)
                    if let chunk = try builder.chunk(of: event) { try await writer.send(chunk) }
                }
                if includesUsage { try await writer.send(builder.usageChunk) }
                try await writer.done()
            } catch AnswerEnd.clientGone {
                context.record.note { $0.error = "client_gone" }
                throw AnswerEnd.clientGone
            } catch {
                try await writer.send(told(error, answer.plan, context).body)
            }
            try await writer.finish()
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream", .cacheControl: "no-cache", .xContentTypeOptions: "nosniff",
                // Proxies that collect an answer before they pass it on would hold the steps back.
                .init("X-Accel-Buffering")!: "no",
            ], body: body)
    }

    private func note(_ event: AnswerFeed.Event, _ context: ServerContext) {
        guard case .finished(let summary) = event.event else { return }
        context.record.note { content in
            content.usage = (content.usage ?? Usage()) + summary.usage
            content.finish = summary.finishReason.rawValue
        }
    }

    /// What a client is told of an error; what it is not told goes into the log.
    private func told(_ error: any Error, _ plan: AnswerPlan, _ context: ServerContext) -> APIError {
        let failure = Failure(error, preset: plan.preset, retryAfter: server.retryAfter)
        if let detail = failure.detail { server.log.say("error: \(detail) (request \(context.id))") }
        context.record.note { $0.error = failure.answer.code ?? failure.answer.type }
        return failure.answer
    }
}

extension Usage {
    fileprivate static func + (one: Usage, other: Usage) -> Usage {
        var sum = one
        sum += other
        return sum
    }
}
