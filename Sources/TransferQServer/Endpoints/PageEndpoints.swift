import HTTPTypes
import Hummingbird
import TransferQPlayground

/// `GET /` and `GET /playground/FILE`: the page. `GET /openapi.json`: what there is.
struct PageEndpoints {
    @Sendable func index(_ request: Request, context: ServerContext) throws -> Response { try file("index.html") }

    @Sendable func part(_ request: Request, context: ServerContext) throws -> Response {
        try file(context.parameters.getCatchAll().joined(separator: "/"))
    }

    @Sendable func openAPI(_ request: Request, context: ServerContext) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.openapi_json)))
    }

    private func file(_ path: String) throws -> Response {
        guard let (content, type) = Playground.file(path) else { throw HTTPError(.notFound) }
        return Response(
            status: .ok,
            headers: [
                .contentType: type, .cacheControl: "no-cache", .xContentTypeOptions: "nosniff",
                .contentSecurityPolicy:
                    "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
                .init("Referrer-Policy")!: "no-referrer",
            ], body: ResponseBody(byteBuffer: ByteBuffer(bytes: content)))
    }
}
