import CLlama
import TransferQ

extension ContextHandle {
    /// Reads whole texts, each in a sequence of its own, and hands out what llama.cpp pools each to.
    ///
    /// - Parameters:
    ///   - texts: no more than the context has sequences, and together no more tokens than a batch holds.
    ///   - threads: of the call, where the lane of whoever asks does not say.
    ///   - count: numbers of a text.
    /// - Returns: the numbers; nil for a text that llama.cpp has none for.
    /// - Throws: ``LlamaError/decodeFailed(code:reason:)``, or `CancellationError` when the signal is raised.
    func pool(_ texts: [[Token]], threads: Int, signal: AbortSignal, count: Int) async throws -> [[Float]?] {
        if let memory { llama_memory_clear(memory, false) }
        var row = 0
        for (sequence, text) in texts.enumerated() {
            for (position, token) in text.enumerated() {
                batch.token[row] = token
                batch.pos[row] = Int32(position)
                batch.n_seq_id[row] = 1
                batch.seq_id[row]?[0] = llama_seq_id(sequence)
                batch.logits[row] = 1
                row += 1
            }
        }
        graphSwitch.listen(to: [signal])
        defer { graphSwitch.listen(to: []) }
        // Whoever asks waits for it, so it has the threads that those have.
        let lane = InferenceLane.current
        let outcome = try await lane.thread.run { [row] in self.decode(Int32(row), threads: lane.threads ?? threads) }
        if signal.isRaised { throw CancellationError() }
        guard outcome.code == 0 else {
            throw LlamaError.decodeFailed(code: outcome.code, reason: outcome.complaint)
        }
        return texts.indices.map { sequence in
            llama_get_embeddings_seq(pointer, llama_seq_id(sequence)).map {
                Array(UnsafeBufferPointer(start: $0, count: count))
            }
        }
    }
}
