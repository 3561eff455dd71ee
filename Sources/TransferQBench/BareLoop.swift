import CLlama
import Foundation
import TransferQ
import TransferQLlama

/// The other side of the benchmark: rollouts by nothing but llama.cpp's C interface.
///
/// One straight loop with no checks, no leases and no cancellation: decode the prompt once, fork it k times, decode k
/// rows a position, take the largest logit of each. What the engine adds to this is its overhead.
final class BareLoop {
    private let model: OpaquePointer
    private let context: OpaquePointer
    private var batch: llama_batch
    private let promptLength: Int
    private let vocabularySize: Int

    init?(path: String, prompt: [Token], configuration: LlamaContext.Configuration) {
        guard let model = llama_model_load_from_file(path, llama_model_default_params()) else { return nil }
        var parameters = llama_context_default_params()
        let threads = Int32(configuration.threads ?? ProcessInfo.processInfo.activeProcessorCount)
        parameters.n_ctx = UInt32(configuration.cells)
        parameters.n_batch = 512
        parameters.n_ubatch = 512
        parameters.n_seq_max = UInt32(configuration.sequences)
        parameters.n_threads = threads
        parameters.n_threads_batch = threads
        parameters.kv_unified = true
        parameters.swa_full = true
        parameters.no_perf = true
        guard let context = llama_init_from_model(model, parameters) else { return nil }
        self.model = model
        self.context = context
        batch = llama_batch_init(512, 0, 1)
        promptLength = prompt.count
        vocabularySize = Int(llama_vocab_n_tokens(llama_model_get_vocab(model)))
        for (position, token) in prompt.enumerated() {
            set(row: position, token: token, position: position, sequence: 0, logits: position == prompt.count - 1)
        }
        batch.n_tokens = Int32(prompt.count)
        guard llama_decode(context, batch) == 0 else { return nil }
    }

    deinit {
        llama_batch_free(batch)
        llama_free(context)
        llama_model_free(model)
    }

    /// Rolls every start out for `length` decoded tokens; the tokens chosen, or nil when llama.cpp fails.
    func rollOut(starts: [Token], length: Int) -> [[Token]]? {
        let memory = llama_get_memory(context)
        var tokens = starts
        var result = starts.map { _ in [Token]() }
        for row in starts.indices { llama_memory_seq_cp(memory, 0, llama_seq_id(row + 1), -1, -1) }
        for offset in 0..<length {
            for row in tokens.indices {
                set(
                    row: row, token: tokens[row], position: promptLength + offset, sequence: row + 1, logits: true)
            }
            batch.n_tokens = Int32(tokens.count)
            guard llama_decode(context, batch) == 0 else { return nil }
            for row in tokens.indices {
                guard let logits = llama_get_logits_ith(context, Int32(row)) else { return nil }
                var best = 0
                var index = 1
                while index < vocabularySize {
                    if logits[index] > logits[best] { best = index }
                    index += 1
                }
                tokens[row] = Token(best)
                result[row].append(Token(best))
            }
        }
        for row in starts.indices { _ = llama_memory_seq_rm(memory, llama_seq_id(row + 1), -1, -1) }
        return result
    }

    private func set(row: Int, token: Token, position: Int, sequence: Int, logits: Bool) {
        batch.token[row] = token
        batch.pos[row] = Int32(position)
        batch.n_seq_id[row] = 1
        batch.seq_id[row]?[0] = llama_seq_id(sequence)
        batch.logits[row] = logits ? 1 : 0
    }
}
