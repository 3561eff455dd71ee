import HTTPTypes
import Hummingbird

/// `GET /health/live`, `GET /health/ready`, `GET /health` and `GET /metrics`.
struct HealthEndpoints {
    let server: ServerState

    private struct Health: Encodable {
        let status: String
        let running: Int
        let waiting: Int
    }

    /// The process answers.
    @Sendable func live(_ request: Request, context: ServerContext) -> Response { health("live", .ok) }

    /// New answers are taken in.
    @Sendable func ready(_ request: Request, context: ServerContext) -> Response {
        server.live.isDraining ? health("ending", .serviceUnavailable) : health("ready", .ok)
    }

    private func health(_ word: String, _ status: HTTPResponse.Status) -> Response {
        let counts = server.live.counts
        return .json(Health(status: word, running: counts.running, waiting: counts.waiting), status: status)
    }

    @Sendable func metrics(_ request: Request, context: ServerContext) -> Response {
        let counts = server.live.counts
        let text = server.metrics.text(gauges: [
            ("answers_running", "Answers that have a slot.", Double(counts.running)),
            ("answers_waiting", "Answers that wait for a slot.", Double(counts.waiting)),
            ("answers_parallel", "Answers at the same time, of one set of models.", Double(server.parallel)),
        ])
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
