public import TransferQ

extension LlamaContext {
    /// −Σ log π(token | the tokens before it) in nats, over all of `tokens` but the first.
    ///
    /// - Throws: ``LlamaError``, or `CancellationError`.
    public func logLoss(of tokens: [Token]) async throws -> Double {
        let sequence = try cache.lease()
        let entries = tokens.indices.map { index in
            DecodeWork.Entry(
                token: tokens[index], position: index, sequence: sequence, isOutput: index + 1 < tokens.count)
        }
        var loss = 0.0
        try await queue.decode(entries, signal: AbortSignal()) { index, output in
            let logProbability = output.logits.logProbability(of: tokens[index + 1])
            guard logProbability.isFinite else { throw LlamaError.logitsNotNumeric }
            loss -= logProbability
        }
        return loss
    }
}
