import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQEvaluation
import TransferQRuntime
import TransferQServer

/// What clients get for what they ask.
@Suite struct AnswerTests {
    private func content(_ reply: HTTPConnection.Reply) throws -> String {
        let choice = (try reply.object()["choices"] as? [[String: Any]])?.first
        return (choice?["message"] as? [String: Any])?["content"] as? String ?? "none"
    }

    private func deltas(_ events: [[String: Any]], choice: Int = 0) -> String {
        events.flatMap { $0["choices"] as? [[String: Any]] ?? [] }.filter { $0["index"] as? Int == choice }
            .map { ($0["delta"] as? [String: Any])?["content"] as? String ?? "" }.joined()
    }

    private func extra(_ event: [String: Any]) -> [String: Any] { event["transferq"] as? [String: Any] ?? [:] }

    @Test func aStreamHoldsWhatTheWholeHolds() async throws {
        let server = try await RunningServer()
        for fields in [
            "\"seed\": 1", "\"seed\": 2, \"temperature\": 1", "\"seed\": 3, \"transferq\": {\"method\": \"sample\"}",
        ] {
            let whole = try await server.chat(fields)
            #expect(whole.status == 200)
            let events = try await server.chat(fields + #", "stream": true, "stream_options": {"include_usage": true}"#)
                .events()
            #expect(try deltas(events) == content(whole))
            let last = try #require(events.last)
            #expect((last["choices"] as? [Any])?.isEmpty == true)
            let usage = try #require(whole.object()["usage"] as? NSDictionary)
            #expect(usage == last["usage"] as? NSDictionary)
            var (one, other) = (extra(try whole.object()), extra(events[events.count - 2]))
            // Seconds differ, and notices come one by one.
            for key in ["seconds", "notices"] { (one[key], other[key]) = (nil, nil) }
            #expect(one as NSDictionary == other as NSDictionary)
            #expect(
                Set(one.keys).isSuperset(of: [
                    "reward", "rewardParts", "kl", "finish", "rolloutTokens", "approximations",
                ]))
        }
    }

    /// The steps are those of `generate --trace`, byte for byte but for the spaces that JSON does not count.
    @Test func stepsAreThoseOfATrace() async throws {
        let server = try await RunningServer()
        let messages = [Message(role: "user", content: "How do I make tea?")]
        let request = try AnswerRequest(
            messages: messages, method: MethodSpec("transfer-q", ["k": 4, "horizon": 4, "alpha": 0.5]),
            scoring: ScoringSpec(reward: RewardSpec(["length:8:0.25", "keywords:a,e,i,o"])),
            limits: AnswerLimits(maximumTokens: 6), seed: 4)
        let tokenizer = try await server.runtime.models().models.tokenizer
        var expected: [NSDictionary] = []
        for try await event in server.runtime.answer(request) {
            guard case .step(let step) = event else { continue }
            let line = try JSON.line(TraceLine(step, tokenizer: tokenizer, conversation: messages))
            expected.append(try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary))
        }
        let fields =
            #""seed": 4, "max_tokens": 6, "transferq": {"alpha": 0.5, "weights": {"brief": 0.25}, "trace": true}"#
        let events = try await server.chat(fields + #", "stream": true"#).events()
        #expect(events.compactMap { extra($0)["step"] as? NSDictionary } == expected)
        let steps = extra(try await server.chat(fields).object())["steps"] as? [NSDictionary]
        #expect(steps == expected && expected.count > 1)
    }

    @Test func equalRequestsAtOnceEqualOneAlone() async throws {
        let server = try await RunningServer(parallel: 4, line: 16)
        let fields = "\"seed\": 9, \"temperature\": 1, \"max_tokens\": 20"
        let alone = try await content(server.chat(fields))
        let together = try await withThrowingTaskGroup(of: String.self) { tasks in
            for _ in 0..<8 { tasks.addTask { try await self.content(server.chat(fields)) } }
            return try await tasks.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(together == Array(repeating: alone, count: 8))
    }

    @Test func choicesHaveSeedsOfTheirOwn() async throws {
        let server = try await RunningServer()
        let fields = #""seed": 5, "temperature": 1, "n": 3"#
        let choices = try #require(try await server.chat(fields).object()["choices"] as? [[String: Any]])
        let texts = choices.map { ($0["message"] as? [String: Any])?["content"] as? String ?? "none" }
        #expect(choices.map { $0["index"] as? Int } == [0, 1, 2] && Set(texts).count > 1)
        for (index, text) in texts.enumerated() {
            #expect(try await content(server.chat("\"seed\": \(5 + index), \"temperature\": 1")) == text)
        }
        let events = try await server.chat(fields + #", "stream": true"#).events()
        #expect((0..<3).map { deltas(events, choice: $0) } == texts)
        #expect(events.count { ($0["transferq"] as? [String: Any])?["finish"] != nil } == 3)
    }

    @Test func weightsOfRewardsChangeTheirParts() async throws {
        let server = try await RunningServer()
        func parts(_ weights: String) async throws -> [String: Double] {
            let reply = try await server.send(
                "POST", "/v1/rewards",
                #"{"responses": ["a b c d"], "transferq": {"weights": {\#(weights)}}}"#)
            let data = try #require(try reply.object()["data"] as? [[String: Any]])
            return try #require(data[0]["parts"] as? [String: Double])
        }
        let plain = try await parts("")
        let changed = try await parts(#""brief": -2, "words": 0"#)
        #expect(try #require(plain["brief"]) == 0.25)
        #expect(changed == ["brief": -1, "words": 0])
    }

    @Test func logProbabilitiesAreThoseOfTheTiltedPolicy() async throws {
        let server = try await RunningServer()
        let reply = try await server.chat(
            #""seed": 1, "logprobs": true, "top_logprobs": 3, "transferq": {"trace": true}"#)
        let choice = try #require((try reply.object()["choices"] as? [[String: Any]])?.first)
        let tokens = try #require((choice["logprobs"] as? [String: Any])?["content"] as? [[String: Any]])
        let steps = try #require(extra(try reply.object())["steps"] as? [[String: Any]])
        #expect(tokens.count == steps.count && !tokens.isEmpty)
        for (token, step) in zip(tokens, steps) {
            let candidates = try #require(step["candidates"] as? [[String: Any]])
            let chosen = try #require(candidates.first { $0["isChosen"] as? Bool == true })
            let probability = try #require(chosen["probability"] as? Double)
            #expect(abs(try #require(token["logprob"] as? Double) - log(probability)) < 1e-9)
            let reference = (token["transferq"] as? [String: Any])?["reference_logprob"] as? Double
            #expect(reference == chosen["logProbability"] as? Double)
            #expect(try #require(token["top_logprobs"] as? [Any]).count <= 3)
        }
    }

    @Test func completionsContinueSeveralTexts() async throws {
        let server = try await RunningServer()
        let reply = try await server.send(
            "POST", "/v1/completions", #"{"model": "plain", "prompt": ["ab", "cd"], "seed": 1, "logprobs": 2, "n": 2}"#)
        let choices = try #require(try reply.object()["choices"] as? [[String: Any]])
        #expect(choices.map { $0["index"] as? Int } == [0, 1, 2, 3])
        let logprobs = try #require(choices[0]["logprobs"] as? [String: Any])
        let offsets = try #require(logprobs["text_offset"] as? [Int])
        #expect(offsets.first == 0 && offsets == offsets.sorted())
        #expect((logprobs["tokens"] as? [String])?.count == offsets.count)
    }

    @Test func whatIsNotKnownIsSaid() async throws {
        let server = try await RunningServer()
        let fields = #""seed": 1, "colour": 3, "max_tokens": 5000, "top_p": 0.5"#
        let notices = extra(try await server.chat(fields).object())["notices"] as? [String] ?? []
        let streamed = try await server.chat(fields + #", "stream": true"#).events().compactMap {
            extra($0)["notice"] as? String
        }
        for part in ["left out: colour", "1024 tokens at most", "top_p has no part in the method transfer-q"] {
            #expect(notices.contains { $0.contains(part) } && streamed.contains { $0.contains(part) }, "\(part)")
        }
    }

    @Test func modelsTellTheirMethodsAndHideTheirFiles() async throws {
        let server = try await RunningServer()
        let text = try await server.send("GET", "/v1/models").text
        #expect(!text.contains(server.folder.url.path) && !text.contains("keywords:"))
        let items = try #require(try await server.send("GET", "/v1/models").object()["data"] as? [[String: Any]])
        #expect(items.map { $0["id"] as? String } == ["kind", "plain"])
        let kind = extra(items[0])
        #expect(kind["reward"] as? [String] == ["brief", "words"])
        let parameters = try #require(kind["parameters"] as? [String: Any])
        #expect(parameters["k"] as? Int == 4 && parameters["alpha"] is NSNumber)
        let methods = try #require(kind["methods"] as? [[String: Any]])
        #expect(methods.map { $0["name"] as? String } == DecodingMethods.table.map { $0.name })
        #expect(try await server.send("GET", "/v1/models/plain").object()["id"] as? String == "plain")
    }
}
