import Foundation
public import TransferQ

/// A policy given by a table: one distribution over the vocabulary for each unfinished response.
///
/// Responses end with the end token or at `maximumResponseLength`. Everything about it can be computed by
/// enumeration, which makes it the oracle for the tests of the decoding methods.
public final class TabularPolicy: Policy {
    public let tokenizer: any Tokenizer
    public let maximumResponseLength: Int
    public let promptLength = 0
    private let logRows: [[Token]: [Double]]

    /// - Parameter rows: for every unfinished response, probabilities of all tokens that sum to one. A row of another length
    ///   counts as missing.
    public init(tokenizer: TabularTokenizer, maximumLength: Int, rows: [[Token]: [Double]]) {
        self.tokenizer = tokenizer
        maximumResponseLength = maximumLength
        logRows = rows.mapValues { $0.map { log($0) } }
    }

    /// The policy that an instance's tree and rows of log-probabilities describe.
    public convenience init(tree: ResponseTree, logRows: [[Double]]) {
        self.init(
            tokenizer: TabularTokenizer(size: tree.vocabularySize, endToken: tree.endToken),
            maximumLength: tree.maximumLength,
            rows: Dictionary(uniqueKeysWithValues: zip(tree.prefixes, logRows.map { $0.map { exp($0) } })))
    }

    /// A random table: softmax of `spread` times standard Gumbel noise in each row.
    public static func random(
        vocabularySize: Int, maximumLength: Int, endToken: Token?, spread: Double = 1, seed: UInt64
    ) -> TabularPolicy {
        let tokenizer = TabularTokenizer(size: vocabularySize, endToken: endToken)
        var rows: [[Token]: [Double]] = [:]
        var open: [[Token]] = [[]]
        while let prefix = open.popLast() {
            let noise = prefix.reduce(Noise(seed: seed)) { $0.derived(Int($1)) }.derived(-1)
            let logits = (0..<vocabularySize).map { spread * noise.derived($0).gumbel }
            rows[prefix] = LogSpace.logSoftmax(logits).map { exp($0) }
            guard prefix.count + 1 < maximumLength else { continue }
            open += (0..<Token(vocabularySize)).filter { $0 != endToken }.map { prefix + [$0] }
        }
        return TabularPolicy(tokenizer: tokenizer, maximumLength: maximumLength, rows: rows)
    }

    /// log π(· | response) for every token, nats.
    ///
    /// - Throws: ``TabularError/noRow(_:)`` for a response that is finished or not in the table.
    public func logRow(after response: [Token]) throws -> [Double] {
        guard let row = logRows[response], row.count == tokenizer.size else { throw TabularError.noRow(response) }
        return row
    }

    /// log π(token | response), nats.
    private func logProbability(of token: Token, after response: [Token]) throws -> Double {
        let row = try logRow(after: response)
        guard row.indices.contains(Int(token)) else { throw TabularError.noToken(token, size: row.count) }
        return row[Int(token)]
    }

    public func propose(_ request: ProposalRequest) async throws -> [Candidate] {
        Self.candidates(
            count: request.count, of: try logRow(after: request.response),
            allowed: request.constraint?.tokens(after: request.response[...]))
    }

    private static func candidates(count: Int, of row: [Double], allowed: TokenSet?) -> [Candidate] {
        let order = TopK.indices(count: allowed == nil ? count : row.count, of: row).lazy
        return order.filter { allowed?.contains(Token($0)) ?? true }.prefix(count).map {
            Candidate(token: Token($0), logProbability: row[$0])
        }
    }

    public func score(_ continuations: [Continuation], after response: [Token]) async throws -> [Double] {
        try continuations.map { continuation in
            var text = response + continuation.prefix
            return try continuation.tokens.reduce(0.0) { sum, token in
                defer { text.append(token) }
                return sum + (try logProbability(of: token, after: text))
            }
        }
    }

    public func rollOut(_ request: RolloutRequest) async throws -> [[Rollout]] {
        try request.starts.map { start in
            try start.numbers.map { try rollout(from: start, request, noise: start.noise(rollout: $0)) }
        }
    }

    private func rollout(
        from start: RolloutRequest.Start, _ request: RolloutRequest, noise: Noise
    ) throws -> Rollout {
        var rollout = start.beginning
        var text = request.response + start.prefix + rollout.tokens
        while true {
            if text.last.map(tokenizer.isEnd) ?? false || request.constraint?.ends(text[...]) ?? false {
                rollout.finishReason = .stop
                return rollout
            }
            guard rollout.tokens.count < start.maximumLength, text.count < maximumResponseLength else {
                return rollout
            }
            let row = try logRow(after: text)
            // Filters need the most likely first; a plain draw does not care for the order.
            let order =
                request.sampling == .ancestral ? Array(row.indices) : TopK.indices(count: row.count, of: row)
            let allowed = request.constraint?.tokens(after: text[...])
            let candidates = order.filter { allowed?.contains(Token($0)) ?? true }.map {
                Candidate(token: Token($0), logProbability: row[$0])
            }
            // What a constraint leaves is a distribution once it is normalised, as sampling does.
            let distribution =
                request.sampling == .ancestral && allowed == nil
                ? candidates : request.sampling.distribution(over: candidates)
            let uniform = noise.derived(rollout.tokens.count).uniform
            guard let index = Sampling.draw(from: distribution, uniform: uniform) else { return rollout }
            let token = distribution[index].token
            if request.candidateCount > 0, rollout.candidates.count == rollout.tokens.count {
                rollout.candidates.append(
                    Self.candidates(count: request.candidateCount, of: row, allowed: allowed))
            }
            rollout.tokens.append(token)
            rollout.logProbabilities.append(row[Int(token)])
            text.append(token)
        }
    }
}
