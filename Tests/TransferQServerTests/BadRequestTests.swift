import Foundation
import TestSupport
import Testing
import TransferQServer

/// What is wrong with a request is said in one sentence, in OpenAI's form.
@Suite struct BadRequestTests {
    private static let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)

    /// Fields of a chat, and a part of the sentence about them.
    private static let chats: [(fields: String, part: String)] = [
        (#""n": 0"#, "n must be at least 1"), (#""n": 17"#, "gives 16 choices in all"),
        (#""n": "two""#, "n must be a whole number"), (#""max_tokens": 0"#, "max_tokens must be at least 1"),
        (#""max_tokens": 1e400"#, "1e400 is not representable"), (#""seed": 1.5"#, "a number in the body does not fit"),
        (#""temperature": -1"#, "temperature must be 0 or a finite number"),
        (#""temperature": "hot""#, "temperature must be a number"),
        (#""top_p": 2, "transferq": {"method": "sample"}"#, "top-p must be above 0"),
        (#""stop": """#, "stop must be a text of at least one character"), (#""stop": 5"#, "stop must be a list"),
        (#""stream": "yes""#, "stream must be true or false"),
        (#""tools": [{"type": "function"}]"#, "tools is not supported"),
        (#""audio": {"voice": "low"}"#, "audio is not supported"),
        (#""tool_choice": "required""#, "tool_choice is not supported"),
        (#""response_format": {"type": "json_object"}"#, "response_format of the type json_object"),
        (#""presence_penalty": 0.5"#, "presence_penalty is not supported"),
        (#""logit_bias": {"5": 1}"#, "logit_bias is not supported"),
        (#""top_logprobs": 3"#, "top_logprobs goes with logprobs"),
        (#""logprobs": true, "top_logprobs": 50"#, "top_logprobs must be between 0 and 20"),
        (#""transferq": 5"#, "transferq must be an object"),
        (#""transferq": {"method": "magic"}"#, "there is no method 'magic'"),
        (#""transferq": {"alpha": 0}"#, "alpha must be a finite number above 0"),
        (#""transferq": {"colour": 1}"#, "has no parameter colour"),
        (#""transferq": {"klBudget": -1}"#, "kl-budget must be"),
        (#""transferq": {"k": 2, "K": 3}"#, "has no parameter -k"),
        (#""transferq": {"kl-budget": 1, "klBudget": 2}"#, "gives kl-budget twice"),
        (#""transferq": {"timeBudget": 0}"#, "time-budget must be"),
        (#""transferq": {"weights": {"other": 1}}"#, "the rewards of the model kind are brief, words"),
        (#""transferq": {"weights": {"brief": 1e9}}"#, "weights.brief must be between"),
        (#""transferq": {"rewards": ["http://elsewhere/"]}"#, "rewards"),
        (#""transferq": {"reward": "command:rm"}"#, "has no parameter reward"),
        (#""transferq": {"method": "greedy", "alpha": 1}"#, "the method greedy has no parameter alpha"),
        (#""colour": \#(deep)"#, "more than 32 deep"),
    ]

    @Test func fieldsOfChats() async throws {
        let server = try await RunningServer()
        for (fields, part) in Self.chats {
            let reply = try await server.chat(fields)
            #expect(reply.status == 400, "\(fields)")
            let message = try reply.message()
            #expect(message.contains(part), "\(fields): \(message)")
            let error = try #require(reply.object()["error"] as? [String: Any])
            #expect(Set(error.keys) == ["message", "type", "param", "code"])
            #expect(error["type"] as? String == "invalid_request_error")
        }
    }

    /// Path, body, status and a part of the sentence.
    private static let others: [(path: String, body: String, status: Int, part: String)] = [
        ("/v1/chat/completions", "{", 400, "the body is no JSON"),
        ("/v1/chat/completions", "[]", 400, "the body must be an object"),
        ("/v1/chat/completions", "{}", 400, "messages is missing"),
        ("/v1/chat/completions", #"{"messages": []}"#, 400, "nobody says anything"),
        ("/v1/chat/completions", #"{"messages": [{"role": "user"}]}"#, 400, "messages[0].content is missing"),
        (
            "/v1/chat/completions", #"{"messages": [{"role": "user", "content": 5}]}"#, 400,
            "messages[0].content must be a list"
        ),
        ("/v1/chat/completions", #"{"messages": [{"role": "tool", "content": "a"}]}"#, 400, "the role \"tool\""),
        (
            "/v1/chat/completions",
            #"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]}"#,
            400, "a part of the type \"image_url\""
        ),
        (
            "/v1/chat/completions", #"{"model": "/etc/passwd", "messages": [{"role": "user", "content": "a"}]}"#, 404,
            "no model"
        ),
        ("/v1/completions", #"{"model": "plain"}"#, 400, "prompt is missing"),
        ("/v1/completions", #"{"model": "plain", "prompt": ""}"#, 400, "prompt holds no text"),
        ("/v1/completions", #"{"model": "plain", "prompt": [1, 2]}"#, 400, "prompts in tokens"),
        ("/v1/completions", #"{"model": "plain", "prompt": "a", "echo": true}"#, 400, "echo is not supported"),
        ("/v1/completions", #"{"model": "kind", "prompt": "a"}"#, 400, "baseline under a system prompt"),
        ("/v1/tokenize", #"{}"#, 400, "either prompt"),
        ("/v1/rewards", #"{"model": "plain", "responses": ["a"]}"#, 400, "has no reward"),
        ("/v1/rewards", #"{"responses": []}"#, 400, "responses holds no text"),
        ("/v1/nothing", "{}", 404, "there is nothing at /v1/nothing"), ("/v1/models", "{}", 405, "takes GET, not POST"),
        ("/playground/../../etc/passwd", "{}", 405, "takes GET"),
    ]

    @Test func otherEndpoints() async throws {
        let server = try await RunningServer()
        for (path, body, status, part) in Self.others {
            let reply = try await server.send("POST", path, body)
            let message = try reply.message()
            #expect(reply.status == status && message.contains(part), "\(path) \(body): \(reply.status) \(message)")
        }
        #expect(try await server.send("GET", "/playground/../../etc/passwd").status == 404)
    }

    @Test func bodiesAndHeaders() async throws {
        let server = try await RunningServer { $0.limits.bodyBytes = 2000 }
        let long = try await server.chat(question: String(repeating: "a", count: 3000))
        #expect(long.status == 413)
        let form = try await server.send(
            "POST", "/v1/chat/completions", RunningServer.body(), headers: ["Content-Type": "text/plain"])
        #expect(try form.status == 415 && form.message().contains("Content-Type: application/json"))
        let header = try await server.send("GET", "/health", headers: ["X-Long": String(repeating: "a", count: 40_000)])
        #expect(header.status == 400)
        // A name that another site points here.
        let other = try await server.send("GET", "/v1/models", headers: ["Host": "rebound.example"])
        #expect(try other.status == 403 && other.message().contains("was asked as \"rebound.example\""))
        for host in ["localhost:9", "127.0.0.1", "[::1]:8080"] {
            #expect(try await server.send("GET", "/v1/models", headers: ["Host": host]).status == 200)
        }
    }

    @Test func keys() async throws {
        let server = try await RunningServer { $0.keys = APIKeys("# mine\nfirst-key\n\nsecond-key\n") }
        #expect(try await server.send("GET", "/health/live").status == 200)
        #expect(try await server.send("GET", "/").status == 200)
        for path in ["/v1/models", "/metrics"] {
            for header in [nil, "Bearer third-key", "Bearer first-ke", "Bearer ", "first-key", "Basic first-key"] {
                let reply = try await server.send("GET", path, headers: header.map { ["Authorization": $0] } ?? [:])
                #expect(reply.status == 401 && reply.headers["www-authenticate"] == "Bearer", "\(header ?? "none")")
            }
            for key in ["first-key", "second-key"] {
                #expect(try await server.send("GET", path, headers: ["Authorization": "Bearer \(key)"]).status == 200)
            }
        }
        #expect(APIKeys("# none\n\n") == nil && APIKeys("two words\n") == nil)
    }

    /// Prompts stand in the log only where somebody has asked for that.
    @Test func theLogTellsNoPrompts() async throws {
        for shows in [false, true] {
            let server = try await RunningServer(showsPrompts: shows)
            _ = try await server.chat("\"seed\": 1", question: "a secret")
            #expect(try await server.eventually { !server.access.isEmpty })
            let line = try #require(server.access.first)
            #expect(line.contains("a secret") == shows)
            let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(object["status"] as? Int == 200 && object["model"] as? String == "kind")
            #expect((object["rolloutTokens"] as? Int ?? 0) > 0)
        }
    }

    @Test(arguments: [
        ("{}", "presets is missing"), (#"{"presets": {}}"#, "it holds no preset"),
        (#"{"presets": {"a b": {}}}"#, "is no name for a preset"),
        (#"{"presets": {"a": {"colour": 1}}}"#, "colour"),
        (#"{"presets": {"a": {}}, "default": "b"}"#, "no preset \"b\""),
        (#"{"presets": {"a": {"method": "magic"}}}"#, "magic"),
        (#"{"presets": {"a": {"reward": []}}}"#, "at least one term"),
    ])
    func configurations(_ json: String, _ part: String) {
        do {
            _ = try ServerSpec(json: Data(json.utf8), path: "presets.yaml")
            Issue.record("\(json) was let pass")
        } catch { #expect("\(error)".contains(part) && "\(error)".contains("presets.yaml"), "\(error)") }
    }

    @Test func namesOfRewards() throws {
        let terms = ["head:a.json", "z:length:30", "clip:-1..1:keywords:a", "head:b.json:2"]
        #expect(try PresetSpec.named(terms).map(\.name) == ["head", "length", "keywords", "head-2"])
    }
}
