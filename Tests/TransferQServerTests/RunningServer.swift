import Foundation
import Synchronization
import TestSupport
import TransferQ
import TransferQLlama
import TransferQRuntime
import TransferQServer

/// A server in this process, on a random model in 32 bits whose choices rounding does not decide.
final class RunningServer: Sendable {
    let folder: TemporaryFolder
    let server: AnswerServer
    let presets: PresetTable
    let port: Int
    let runtime: Runtime
    private let task: Task<Void, any Error>
    private let lines: Lines

    /// What the server has written.
    final class Lines: Sendable {
        private let state = Mutex((access: [String](), said: [String]()))

        func log(showsPrompts: Bool) -> ServerLog {
            ServerLog(
                access: { line in self.state.withLock { $0.access.append(line) } },
                say: { line in self.state.withLock { $0.said.append(line) } }, showsPrompts: showsPrompts)
        }

        var access: [String] { state.withLock { $0.access } }
        var said: [String] { state.withLock { $0.said } }
    }

    var access: [String] { lines.access }
    var said: [String] { lines.said }

    /// - Parameter configuration: presets in JSON, in which `MODEL` stands for the random model.
    init(
        _ configuration: String = RunningServer.standard, parallel: Int = 2, line: Int = 8, showsPrompts: Bool = false,
        options change: (inout AnswerServer.Options) -> Void = { _ in }
    ) async throws {
        let folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("sharp.gguf"), seed: 7000, shape: .sharp)
        let json = configuration.replacing("MODEL", with: folder.file("sharp.gguf").path)
        let spec = try ServerSpec(json: Data(json.utf8), path: "presets.json")
        let engine = LlamaEngine(library: ModelLibrary(store: ModelStore(root: folder.file("cache"))), threads: 1)
        let capacity = try RuntimeCapacity(
            parallel: parallel, promptTokens: 128, answerTokens: 32, longestLine: line)
        let made = Mutex<Runtime?>(nil)
        let presets = try await PresetTable.load(spec) { model, baseline in
            let runtime = Runtime(engine: engine, model: model, baseline: baseline, capacity: capacity)
            made.withLock { $0 = $0 ?? runtime }
            return runtime
        }
        var options = AnswerServer.Options()
        options.port = 0
        options.parallel = parallel
        options.limits.idleSeconds = 5
        change(&options)
        let lines = Lines()
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let server = try AnswerServer(presets: presets, options: options, log: lines.log(showsPrompts: showsPrompts)) {
            continuation.yield($0)
        }
        task = Task { try await server.run() }
        var iterator = ports.makeAsyncIterator()
        guard let port = await iterator.next(), let runtime = made.withLock({ $0 }) else { throw CancellationError() }
        (self.folder, self.server, self.presets, self.lines) = (folder, server, presets, lines)
        (self.port, self.runtime) = (port, runtime)
    }

    deinit { task.cancel() }

    /// Waits until the server has ended.
    func wait() async throws { try await task.value }

    static let standard = #"""
        {"presets": {
          "kind": {"model": "MODEL", "baseline": {"system": "You are kind."},
                   "reward": {"words": "keywords:a,e,i,o", "brief": "length:8:0.5"},
                   "method": "transfer-q[k=4,horizon=4]", "limits": {"maxTokens": 12}},
          "plain": {"model": "MODEL", "method": "sample", "limits": {"maxTokens": 12}}}}
        """#

    // MARK: Requests

    func send(
        _ method: String, _ path: String, _ body: String = "", headers: [String: String] = [:]
    ) async throws -> HTTPConnection.Reply {
        let connection = try HTTPConnection(port: port)
        try connection.send(HTTPConnection.request(method, path, body, headers: headers))
        return try await connection.reply()
    }

    func chat(_ fields: String = "", question: String = "How do I make tea?") async throws -> HTTPConnection.Reply {
        try await send("POST", "/v1/chat/completions", Self.body(fields, question: question))
    }

    static func body(_ fields: String = "", question: String = "How do I make tea?") -> String {
        #"{"messages": [{"role": "user", "content": "\#(question)"}]\#(fields.isEmpty ? "" : ", ")\#(fields)}"#
    }

    /// Answers that run and that wait.
    func counts() async throws -> (running: Int, waiting: Int) {
        let health = try await send("GET", "/health").object()
        return (health["running"] as? Int ?? -1, health["waiting"] as? Int ?? -1)
    }

    /// A number of the metrics.
    func metric(_ name: String) async throws -> Double? {
        let line = try await send("GET", "/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Double($0.dropFirst(name.count + 1)) }
    }

    /// Looks again and again, up to ten seconds, whether something holds.
    func eventually(_ holds: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<1000 {
            if try await holds() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}
