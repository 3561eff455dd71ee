import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQServer

/// Clients that go, lines that are full, a server that is told to end.
@Suite struct LifecycleTests {
    /// Seconds of work.
    private static let long =
        #""seed": 1, "max_tokens": 300, "temperature": 1, "n": 16, "transferq": {"k": 16, "horizon": 8}"#

    @Test func whoeverGoesFreesTheSlot() async throws {
        let server = try await RunningServer(parallel: 1)
        let expected = try await server.chat("\"seed\": 1").object()["choices"] as? NSArray
        for round in 0..<12 {
            let running = try HTTPConnection(port: server.port)
            let stream = round.isMultiple(of: 2) ? #", "stream": true"# : ""
            try running.send(
                HTTPConnection.request("POST", "/v1/chat/completions", RunningServer.body(Self.long + stream)))
            // In the queue, while the prompt is read, or in the middle.
            if round % 3 > 0 { try #require(try await server.eventually { try await server.counts().running == 1 }) }
            if round % 3 == 2, !stream.isEmpty { _ = await running.read() }
        }
        // All of them are gone with their last references.
        #expect(try await server.eventually { try await server.counts() == (0, 0) })
        let again = try await server.chat("\"seed\": 1")
        #expect(try again.status == 200 && again.object()["choices"] as? NSArray == expected)
        #expect(
            try await server.send("GET", "/metrics").text.contains("transferq_answers_total{reason=\"client-gone\"}"))
    }

    @Test func aFullLineSaysWhenToComeAgain() async throws {
        let server = try await RunningServer(parallel: 1, line: 1)
        var busy: [HTTPConnection] = []
        for (place, counts) in [(1, (1, 0)), (2, (1, 1))] {
            let connection = try HTTPConnection(port: server.port)
            try connection.send(
                HTTPConnection.request(
                    "POST", "/v1/chat/completions", RunningServer.body(Self.long + #", "stream": true"#)))
            busy.append(connection)
            #expect(try await server.eventually { try await server.counts() == counts }, "\(place)")
        }
        let refused = try await server.chat(Self.long)
        #expect(refused.status == 429)
        #expect(try #require(refused.headers["retry-after"].flatMap { Int($0) }) >= 1)
        #expect(try refused.message().contains("answers are waiting already"))
        busy = []
        #expect(try await server.eventually { try await server.counts() == (0, 0) })
        #expect(try await server.chat("\"seed\": 1").status == 200)
    }

    /// What a client does not read is not computed ahead.
    @Test func aSlowReaderHoldsItsAnswerBack() async throws {
        let server = try await RunningServer(parallel: 1)
        let connection = try HTTPConnection(port: server.port)
        let fields =
            #""seed": 1, "max_tokens": 400, "temperature": 1, "stream": true, "stop": "never", "n": 8, "#
            + #""transferq": {"k": 200, "horizon": 2, "trace": true}"#
        try connection.send(HTTPConnection.request("POST", "/v1/chat/completions", RunningServer.body(fields)))
        func steps() async throws -> Double { try await server.metric("transferq_step_seconds_count") ?? 0 }
        var last = -1.0
        let isStill = try await server.eventually {
            let now = try await steps()
            defer { last = now }
            try await Task.sleep(for: .milliseconds(150))
            return now > 0 && now == last
        }
        let counts = try await server.counts()
        #expect(isStill && counts.running == 1)
        // It goes on where it was.
        let before = try await steps()
        var read = 0
        while read < 8_000_000 {
            let more = await connection.read()
            if more.isEmpty { break }
            read += more.count
        }
        #expect(try await server.eventually { try await steps() > before })
    }

    @Test func whatRunsIsFinishedAndTheRestRefused() async throws {
        let server = try await RunningServer(parallel: 1)
        let fields = #""seed": 1, "max_tokens": 100, "temperature": 1, "stream": true, "n": 4, "transferq": {"k": 16}"#
        let running = try HTTPConnection(port: server.port)
        try running.send(HTTPConnection.request("POST", "/v1/chat/completions", RunningServer.body(fields)))
        let first = await running.read()
        async let waiting = server.chat(Self.long)
        try #require(try await server.eventually { try await server.counts().waiting == 1 })
        async let end: Void = server.server.end(within: 30)
        let refused = try await waiting
        #expect(refused.status == 503 && refused.headers["retry-after"] != nil)
        var text = String(decoding: first, as: UTF8.self)
        while true {
            let more = await running.read()
            if more.isEmpty { break }
            text += String(decoding: more, as: UTF8.self)
        }
        #expect(text.contains("data: [DONE]") && !text.contains("\"error\""))
        await end
        try await server.wait()
        #expect(throws: POSIXError.self) { try HTTPConnection(port: server.port) }
    }

    @Test func aLimitCutsWhatRunsTooLong() async throws {
        let server = try await RunningServer(parallel: 1)
        let running = try HTTPConnection(port: server.port)
        try running.send(
            HTTPConnection.request(
                "POST", "/v1/chat/completions", RunningServer.body(Self.long + #", "stream": true"#)))
        _ = await running.read()
        async let end: Void = server.server.end(within: 0.05)
        let rest = try await rest(of: running)
        #expect(rest.contains("the server is about to end") && !rest.contains("[DONE]"))
        await end
        try await server.wait()

        let hasty = try await RunningServer(parallel: 1) { $0.limits.seconds = 0.05 }
        #expect(try await hasty.chat(Self.long).status == 504)
    }

    private func rest(of connection: HTTPConnection) async throws -> String {
        var text = ""
        while true {
            let more = await connection.read()
            if more.isEmpty { return text }
            text += String(decoding: more, as: UTF8.self)
        }
    }

    /// A reward whose program ends in the middle ends its answer with an error; others go on.
    @Test func aRewardThatDiesEndsItsAnswersAlone() async throws {
        let scratch = try TemporaryFolder()
        let script = scratch.file("reward.py")
        try """
        import json, os, sys
        if os.path.exists(sys.argv[0] + ".dead"):
            sys.exit(1)
        for number, line in enumerate(sys.stdin):
            if number == 8:
                open(sys.argv[0] + ".dead", "w")
                sys.exit(1)
            print(json.dumps([0.5] * len(json.loads(line)["completions"])), flush=True)
        """.write(to: script, atomically: true, encoding: .utf8)
        let server = try await RunningServer(
            #"""
            {"presets": {
              "frail": {"model": "MODEL", "reward": {"frail": "command:python3 SCRIPT"},
                        "method": "cd[k=3,horizon=2]", "limits": {"maxTokens": 60}},
              "plain": {"model": "MODEL", "method": "sample"}}, "default": "plain"}
            """#.replacing("SCRIPT", with: script.path))
        let text = try await server.chat(
            #""model": "frail", "seed": 1, "n": 8, "temperature": 1, "stream": true"#
        ).text
        #expect(text.contains("\"error\"") && text.contains("reward_failed") && !text.contains("[DONE]"))
        #expect(!text.contains(script.path))
        #expect(server.said.contains { $0.contains("error: the reward") })
        let whole = try await server.chat(#""model": "frail", "seed": 1"#)
        #expect(whole.status == 502)
        #expect(try await server.chat("\"seed\": 1").status == 200)
        #expect(try await server.eventually { try await server.counts() == (0, 0) })
    }

    @Test func healthAndMetrics() async throws {
        let server = try await RunningServer()
        _ = try await server.chat("\"seed\": 1")
        #expect(try await server.send("GET", "/health/live").object()["status"] as? String == "live")
        #expect(try await server.send("GET", "/health/ready").object()["status"] as? String == "ready")
        let metrics = try await server.send("GET", "/metrics")
        #expect(metrics.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        // A line is a comment, or a name with a value.
        for line in metrics.text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.wholeMatch(of: /[a-z_]+(?:\{[^}]*\})? [0-9.e+-]+/) != nil, "\(line)")
        }
        let tokens = try #require(try await server.metric("transferq_answer_tokens_total"))
        let steps = try #require(try await server.metric("transferq_step_seconds_count"))
        #expect(tokens >= 1 && steps == tokens - 1)
        #expect(metrics.text.contains(#"transferq_http_requests_total{route="/v1/chat/completions",status="200"} 1"#))
        let document = try await server.send("GET", "/openapi.json").object()
        #expect((document["paths"] as? [String: Any])?.count == 11)
    }
}
