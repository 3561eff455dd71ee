import HTTPTypes
import Hummingbird
import NIOHTTP1
import TransferQEvaluation

/// Makes OpenAI's error object of whatever goes wrong.
struct ErrorReplies: RouterMiddleware {
    let server: ServerState

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch let error as HTTPError {
            return Self.response(Self.answer(error, to: request))
        } catch let error as HTTPParserError {
            // The HTTP library answers what is no HTTP, and closes the connection.
            throw error
        } catch {
            let failure = Failure(error, preset: nil, retryAfter: server.retryAfter)
            if let detail = failure.detail { server.log.say("error: \(detail) (request \(context.id))") }
            context.record.note { $0.error = failure.answer.code ?? failure.answer.type }
            return Self.response(failure.answer)
        }
    }

    /// What the router says.
    private static func answer(_ error: HTTPError, to request: Request) -> APIError {
        guard error.status == .notFound else {
            return APIError(error.status, error.body ?? error.status.reasonPhrase)
        }
        let path = request.uri.path
        let other = Routes.methods(of: path)
        guard let method = other.first, !other.contains(request.method.rawValue) else {
            return APIError(
                .notFound, "there is nothing at \(path.prefix(200)); /openapi.json lists what there is",
                code: "not_found")
        }
        return APIError(
            .methodNotAllowed, "\(path.prefix(200)) takes \(method), not \(request.method.rawValue.prefix(20))",
            code: "method_not_allowed")
    }

    static func response(_ error: APIError) -> Response {
        var response = Response.json(error.body, status: error.status)
        if let seconds = error.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
        if error.status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}

extension Response {
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        // Everything that is sent so has a form in JSON.
        let text = (try? JSON.line(value)) ?? "{}"
        return Response(
            status: status, headers: [.contentType: "application/json", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

/// Which methods a path takes.
enum Routes {
    private static let table: [String: [String]] = [
        "/": ["GET"], "/openapi.json": ["GET"], "/health": ["GET"], "/health/live": ["GET"], "/health/ready": ["GET"],
        "/metrics": ["GET"], "/v1/models": ["GET"], "/v1/chat/completions": ["POST"], "/v1/completions": ["POST"],
        "/v1/tokenize": ["POST"], "/v1/rewards": ["POST"],
    ]

    static func methods(of path: String) -> [String] {
        path.hasPrefix("/v1/models/") || path.hasPrefix("/playground/") ? ["GET"] : table[path] ?? []
    }
}
