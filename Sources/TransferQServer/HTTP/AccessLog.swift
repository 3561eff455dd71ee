import Foundation
import HTTPTypes
import Hummingbird
import TransferQ
import TransferQEvaluation

/// Counts every request, and writes a line about it when its last byte is out.
struct AccessLog: RouterMiddleware {
    let server: ServerState

    private struct Line: Encodable {
        let time: String
        let id: String
        let client: String?
        let request: String
        let status: Int
        let seconds: Double
        var model: String?
        var method: String?
        var stream: Bool?
        var promptTokens: Int?
        var answerTokens: Int?
        var rolloutTokens: Int?
        var finish: String?
        var error: String?
        var messages: [Message]?
    }

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response = try await next(request, context)
        let status = Int(response.status.code)
        let write: @Sendable () -> Void = { log(request, context, status: status, since: start) }
        guard response.body.contentLength == nil else {
            write()
            return response
        }
        let body = response.body
        response.body = ResponseBody { writer in
            defer { write() }
            try await body.write(writer)
        }
        return response
    }

    private func log(_ request: Request, _ context: ServerContext, status: Int, since start: ContinuousClock.Instant) {
        // What nobody serves has no pattern; what clients write is no label.
        let route = context.endpointPath ?? "other"
        server.metrics.request(route, status: status)
        let noted = context.record.noted
        let line = Line(
            time: Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)), id: context.id,
            client: context.channel.remoteAddress?.ipAddress,
            request: "\(request.method.rawValue) \(request.uri.path.prefix(200))", status: status,
            seconds: (ContinuousClock.now - start) / .seconds(1), model: noted.model, method: noted.method,
            stream: noted.isStreamed, promptTokens: noted.usage?.promptTokens,
            answerTokens: noted.usage?.completionTokens, rolloutTokens: noted.usage?.rolloutTokens,
            finish: noted.finish,
            error: noted.error, messages: noted.messages)
        // There is nothing in it that JSON has no form for.
        if let text = try? JSON.line(line) { server.log.access(text) }
    }
}
