import Foundation
public import TransferQRuntime

/// Who compares answers with those of another method, and how.
///
/// JSON: an object with `model` and, for a model behind an OpenAI-compatible server, `endpoint`.
///
///     {"endpoint": "https://api.example.com/v1", "model": "judge-1", "keyVariable": "JUDGE_KEY",
///      "inputPrice": 2.5, "outputPrice": 10}
public struct JudgeSpec: Codable, Hashable, Sendable {
    /// The server's name of the model; without an endpoint, a known name or a GGUF file that runs in this process.
    public let model: ModelSpec
    /// The address up to and with `/v1`; nil for a model in this process.
    public let endpoint: String?
    /// The environment variable that holds the server's key.
    public let keyVariable: String?
    /// The file that holds the server's key.
    public let keyFile: String?
    /// The label of the method that the others are judged against; the evaluation's reference where nil.
    public let against: String?
    /// Most prompts whose answers are judged; all where nil.
    public let limit: Int?
    /// Prices of a million tokens, in whatever currency, for the estimate; nil where nothing is paid.
    public let inputPrice: Double?
    public let outputPrice: Double?
    /// Longest reply in tokens.
    public let maxTokens: Int
    /// Questions to a server at the same time.
    public let parallel: Int
    /// Seconds that a server may take for a reply.
    public let timeout: Double

    /// - Throws: ``EvaluationError/invalidSpecification(_:)``.
    init(checking spec: Written) throws {
        func fail(_ reason: String) -> EvaluationError { .invalidSpecification("judge: \(reason)") }
        if let endpoint = spec.endpoint {
            guard let url = URLComponents(string: endpoint), ["http", "https"].contains(url.scheme?.lowercased()),
                url.host?.isEmpty == false
            else { throw fail("endpoint must be an address such as http://localhost:8000/v1, not \"\(endpoint)\"") }
            guard url.user == nil, url.password == nil else {
                throw fail("a key belongs into a file or an environment variable (keyFile, keyVariable)")
            }
        } else if spec.keyVariable != nil || spec.keyFile != nil {
            throw fail("a key goes with an endpoint; name one, or leave keyVariable and keyFile out")
        }
        guard spec.keyVariable == nil || spec.keyFile == nil else {
            throw fail("give keyVariable or keyFile, not both")
        }
        if let limit = spec.limit, limit < 1 { throw fail("limit must be at least 1, not \(limit)") }
        for price in [spec.inputPrice, spec.outputPrice].compactMap({ $0 }) where !(price >= 0 && price.isFinite) {
            throw fail("prices must be at least 0, not \(price)")
        }
        let (maxTokens, parallel) = (spec.maxTokens ?? 512, spec.parallel ?? 4)
        guard (1...65_536).contains(maxTokens) else { throw fail("maxTokens must be 1 to 65536, not \(maxTokens)") }
        guard (1...64).contains(parallel) else { throw fail("parallel must be 1 to 64, not \(parallel)") }
        timeout = spec.timeout ?? 120
        guard timeout > 0, timeout <= 86_400 else { throw fail("timeout must be above 0 and at most 86400 seconds") }
        model = spec.model
        (endpoint, keyVariable, keyFile) = (spec.endpoint, spec.keyVariable, spec.keyFile)
        (against, limit) = (spec.against, spec.limit)
        (inputPrice, outputPrice) = (spec.inputPrice, spec.outputPrice)
        (self.maxTokens, self.parallel) = (maxTokens, parallel)
    }

    /// What judgements call it: judgements of another one are made anew.
    public var name: String { endpoint.map { "\(model.name) at \($0)" } ?? model.name }

    struct Written: Decodable {
        let model: ModelSpec
        let endpoint: String?
        let keyVariable: String?
        let keyFile: String?
        let against: String?
        let limit: Int?
        let inputPrice: Double?
        let outputPrice: Double?
        let maxTokens: Int?
        let parallel: Int?
        let timeout: Double?
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case model, endpoint, keyVariable, keyFile, against, limit, inputPrice, outputPrice, maxTokens, parallel,
            timeout
    }

    public init(from decoder: any Decoder) throws {
        try RuntimeError.checkKeys(of: decoder, known: Set(CodingKeys.allCases.map(\.rawValue)), what: "judge")
        try self.init(checking: Written(from: decoder))
    }
}
