import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import TransferQRuntime

/// Answers over HTTP: OpenAI's API, the page, health and metrics.
///
///     let server = try AnswerServer(presets: presets, options: AnswerServer.Options(), log: log)
///     try await server.run()
public final class AnswerServer: Sendable {
    /// Where a server listens, and to whom.
    public struct Options: Sendable {
        public var host = "127.0.0.1"
        /// 0 for any that is free.
        public var port = 8080
        /// Nil where none is asked for.
        public var keys: APIKeys?
        public var limits = ServerLimits()
        /// Answers at the same time, of one set of models; what the runtimes were made for.
        public var parallel = 4

        public init() {}

        /// Whether only this machine can reach it.
        public var isLocal: Bool { AccessControl.isLocalName(host.contains(":") ? "[\(host)]" : host) }
    }

    private let state: ServerState
    private let group: ServiceGroup

    /// - Parameter whenListening: told the port.
    public init(
        presets: PresetTable, options: Options, log: ServerLog,
        whenListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        state = ServerState(presets: presets, limits: options.limits, parallel: options.parallel, log: log)
        let logger = Logger(label: "transferq") { _ in ServerLogHandler(say: log.say) }
        let limits = options.limits
        let http = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionWatch()], idleTimeout: .seconds(Int64(limits.idleSeconds)),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))
        let application = Application(
            router: try Self.router(state, options), server: .http1(configuration: http),
            configuration: ApplicationConfiguration(
                address: .hostname(options.host, port: options.port), serverName: "transferq",
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections)),
            onServerRunning: { await whenListening($0.localAddress?.port ?? 0) }, logger: logger)
        group = ServiceGroup(configuration: ServiceGroupConfiguration(services: [application], logger: logger))
    }

    /// Serves until ``end(within:)`` has done its work, or the task is cancelled.
    ///
    /// - Throws: what keeps it from listening.
    public func run() async throws { try await group.run() }

    /// Takes in nothing more, refuses answers that have not begun, and lets those that run go on for so many seconds.
    public func end(within seconds: Double) async {
        state.live.drain()
        await group.triggerGracefulShutdown()
        let limit = ContinuousClock.now + .seconds(seconds)
        while state.live.counts.running > 0, ContinuousClock.now < limit {
            // A cancelled wait ends with the next look at the clock.
            try? await Task.sleep(for: .milliseconds(50))
            if Task.isCancelled { break }
        }
        state.live.stop()
    }

    private static func router(_ state: ServerState, _ options: Options) throws -> Router<ServerContext> {
        let router = Router(context: ServerContext.self)
        router.add(middleware: AccessLog(server: state))
        router.add(middleware: ErrorReplies(server: state))
        router.add(middleware: AccessControl(keys: options.keys, isLocal: options.isLocal))
        let answers = AnswerEndpoints(server: state)
        router.post("/v1/chat/completions", use: answers.chat)
        router.post("/v1/completions", use: answers.completion)
        let models = try ModelEndpoints(server: state)
        router.get("/v1/models", use: models.list)
        router.get("/v1/models/**", use: models.one)
        let texts = TextEndpoints(server: state)
        router.post("/v1/tokenize", use: texts.tokenize)
        router.post("/v1/rewards", use: texts.rewards)
        let health = HealthEndpoints(server: state)
        router.get("/health", use: health.ready)
        router.get("/health/live", use: health.live)
        router.get("/health/ready", use: health.ready)
        router.get("/metrics", use: health.metrics)
        let pages = PageEndpoints()
        router.get("/", use: pages.index)
        router.get("/playground/**", use: pages.part)
        router.get("/openapi.json", use: pages.openAPI)
        return router
    }
}

/// Passes on what the HTTP library warns of.
private struct ServerLogHandler: LogHandler {
    let say: @Sendable (String) -> Void
    var logLevel = Logger.Level.warning
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { say("\(event.level): \(event.message)") }
}
