import Foundation
import TransferQ
import TransferQRewards
import TransferQRuntime

/// Asks a judge.
protocol JudgeClient: Sendable {
    /// - Returns: the whole reply.
    func reply(to prompt: String) async throws -> String
}

/// A model behind an OpenAI-compatible server.
struct ServerJudge: JudgeClient {
    private let spec: JudgeSpec
    private let exchange: HTTPExchange

    /// - Parameters:
    ///   - pauses: seconds before each further try.
    ///   - environment: where the key is looked up.
    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` when there is no key where it should be.
    init(
        _ spec: JudgeSpec, endpoint: String, pauses: [Double],
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        guard let base = URL(string: endpoint) else {
            throw EvaluationError.invalidSpecification("judge: \"\(endpoint)\" is no address")
        }
        self.spec = spec
        let key = try Self.key(spec, environment)
        exchange = HTTPExchange(
            name: spec.name, address: base.appending(path: "chat/completions"),
            authorization: key.map { "Bearer \($0)" }, timeout: spec.timeout,
            pauses: pauses,
            advice: .init(
                access: "give the key with keyVariable or keyFile in the judge of the configuration",
                slowness: "give it longer with timeout in the judge of the configuration"))
    }

    private static func key(_ spec: JudgeSpec, _ environment: [String: String]) throws -> String? {
        if let name = spec.keyVariable {
            guard let key = environment[name], !key.isEmpty else {
                throw EvaluationError.invalidSpecification(
                    "judge: the environment variable \(name) holds no key; set it")
            }
            return key
        }
        guard let path = spec.keyFile else { return nil }
        guard let data = FileManager.default.contents(atPath: path),
            let key = String(validating: data, as: UTF8.self)?.trimmingCharacters(in: .whitespacesAndNewlines),
            !key.isEmpty
        else { throw EvaluationError.invalidSpecification("judge: the file \(path) holds no key; check keyFile") }
        return key
    }

    private struct Question: Encodable {
        let model: String
        let messages: [Message]
        let temperature = 0
        let longest: Int

        private enum CodingKeys: String, CodingKey {
            case model, messages, temperature
            case longest = "max_tokens"
        }
    }

    private struct Reply: Decodable {
        struct Choice: Decodable {
            struct Message: Decodable { let content: String? }
            let message: Message
        }
        let choices: [Choice]
    }

    func reply(to prompt: String) async throws -> String {
        let question = Question(
            model: spec.model.name, messages: [Message(role: "user", content: prompt)], longest: spec.maxTokens)
        do {
            let data = try await exchange.post(Data(JSON.line(question).utf8))
            guard let reply = try? JSON.decoder.decode(Reply.self, from: data),  // said right here
                let content = reply.choices.first?.message.content
            else {
                throw EvaluationError.judge(
                    name: spec.name, reason: "answered something else than a chat completion; check the endpoint")
            }
            return content
        } catch let failure as HTTPExchange.Failure {
            throw EvaluationError.judge(name: spec.name, reason: failure.description)
        } catch let refusal as HTTPExchange.Refusal {
            throw EvaluationError.judge(
                name: spec.name, reason: "answered with status \(refusal.status) (\"\(refusal.text)\")")
        }
    }
}

/// A GGUF model in this process, which answers greedily.
struct ModelJudge: JudgeClient {
    let spec: JudgeSpec
    /// Of the judge's model, without a baseline.
    let runtime: Runtime

    func reply(to prompt: String) async throws -> String {
        let request = try AnswerRequest(
            messages: [Message(role: "user", content: prompt)], method: MethodSpec("greedy"),
            limits: AnswerLimits(maximumTokens: spec.maxTokens))
        for try await event in runtime.answer(request) {
            switch event {
            case .failure(let error): throw error
            case .finished(let summary):
                if summary.finishReason == .cancelled { throw CancellationError() }
                return summary.response
            case .notice, .step: continue
            }
        }
        throw CancellationError()
    }
}
