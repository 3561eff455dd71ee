import CLlama
import Foundation
import TransferQ
import TransferQLlama

/// The other side of the benchmark: rollouts by nothing but llama.cpp's C interface.
///
/// One straight loop with no checks, no leases and no cancellation: decode the prompt once, fork it k times, decode k
/// rows a position, take the largest logit of each. What the engine adds to this is its overhead.
final class BareLoop {
    private let model: LlamaModel
    private let prompt: [Token]
    private let context: OpaquePointer
    private var batch: llama_batch
    private let vocabularySize: Int

    /// - Parameter prompt: at most 511 tokens.
    init?(model: LlamaModel, prompt: [Token], configuration: LlamaContext.Configuration) {
        guard prompt.count < Self.rows else { return nil }
        var parameters = llama_context_default_params()
        let threads = Int32(configuration.threads ?? ProcessInfo.processInfo.activeProcessorCount)
        parameters.n_ctx = UInt32(configuration.cells)
        parameters.n_batch = UInt32(Self.rows)
        parameters.n_ubatch = UInt32(Self.rows)
        parameters.n_seq_max = UInt32(configuration.sequences)
        parameters.n_threads = threads
        parameters.n_threads_batch = threads
        parameters.kv_unified = true
        parameters.swa_full = true
        parameters.no_perf = true
        if let type = model.options.cacheType {
            let types = (0..<GGML_TYPE_COUNT.rawValue).map { ggml_type($0) }
            let named = types.first { ggml_type_name($0).map { String(cString: $0) } == type.rawValue }
            guard let named else { return nil }
            (parameters.type_k, parameters.type_v) = (named, named)
            if ggml_is_quantized(named) { parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED }
        }
        guard let context = llama_init_from_model(model.pointer, parameters) else { return nil }
        self.model = model
        self.context = context
        self.prompt = prompt
        batch = llama_batch_init(Int32(Self.rows), 0, 1)
        vocabularySize = Int(llama_vocab_n_tokens(llama_model_get_vocab(model.pointer)))
        guard read(prompt, sequence: 0) else { return nil }
    }

    /// Rows of a batch.
    private static let rows = 512

    deinit {
        llama_batch_free(batch)
        llama_free(context)
    }

    /// Rolls every start out for `length` decoded tokens; the tokens chosen, or nil when llama.cpp fails or the task is
    /// cancelled.
    func rollOut(starts: [Token], length: Int) -> [[Token]]? {
        let memory = llama_get_memory(context)
        var tokens = starts
        var result = starts.map { _ in [Token]() }
        for row in starts.indices { llama_memory_seq_cp(memory, 0, llama_seq_id(row + 1), -1, -1) }
        for offset in 0..<length {
            for row in tokens.indices {
                set(
                    row: row, token: tokens[row], position: prompt.count + offset, sequence: row + 1, logits: true)
            }
            batch.n_tokens = Int32(tokens.count)
            guard !Task.isCancelled, llama_decode(context, batch) == 0 else { return nil }
            for row in tokens.indices {
                guard let best = choice(row: row) else { return nil }
                tokens[row] = best
                result[row].append(best)
            }
        }
        for row in starts.indices { _ = llama_memory_seq_rm(memory, llama_seq_id(row + 1), -1, -1) }
        return result
    }

    /// Rolls one start out for `length` decoded tokens by itself, the prompt read anew; the tokens chosen, or nil when
    /// llama.cpp fails or the task is cancelled.
    func rollOutAnew(start: Token, length: Int) -> [Token]? {
        let memory = llama_get_memory(context)
        defer { _ = llama_memory_seq_rm(memory, 1, -1, -1) }
        guard !Task.isCancelled, read(prompt + [start], sequence: 1) else { return nil }
        var result: [Token] = []
        while let token = choice(row: batch.n_tokens == 1 ? 0 : prompt.count) {
            result.append(token)
            if result.count == length { return result }
            set(row: 0, token: token, position: prompt.count + result.count, sequence: 1, logits: true)
            batch.n_tokens = 1
            guard !Task.isCancelled, llama_decode(context, batch) == 0 else { return nil }
        }
        return nil
    }

    /// Decodes tokens from position 0 on.
    private func read(_ tokens: [Token], sequence: Int) -> Bool {
        for (position, token) in tokens.enumerated() {
            set(
                row: position, token: token, position: position, sequence: sequence,
                logits: position == tokens.count - 1)
        }
        batch.n_tokens = Int32(tokens.count)
        return llama_decode(context, batch) == 0
    }

    /// The token of the largest logit.
    private func choice(row: Int) -> Token? {
        guard let logits = llama_get_logits_ith(context, Int32(row)) else { return nil }
        var best = 0
        var index = 1
        while index < vocabularySize {
            if logits[index] > logits[best] { best = index }
            index += 1
        }
        return Token(best)
    }

    private func set(row: Int, token: Token, position: Int, sequence: Int, logits: Bool) {
        batch.token[row] = token
        batch.pos[row] = Int32(position)
        batch.n_seq_id[row] = 1
        batch.seq_id[row]?[0] = llama_seq_id(sequence)
        batch.logits[row] = logits ? 1 : 0
    }
}
