import CLlama
import Foundation

/// A context of llama.cpp with a batch to fill; both are freed with their last user.
final class ContextHandle: ContextBackend {
    // Used by one context or classifier, on one thread at a time; freed when nobody can.
    nonisolated(unsafe) let pointer: OpaquePointer
    /// Nil for a model that keeps nothing between calls.
    nonisolated(unsafe) let memory: llama_memory_t?
    nonisolated(unsafe) let batch: llama_batch
    // llama.cpp reads both until the context is freed, so they go after it.
    let graphSwitch = GraphSwitch()
    private let model: ModelHandle

    /// - Parameters:
    ///   - batchSize: most tokens of one call, which are computed in one piece.
    ///   - threads: of a call, unless that says otherwise.
    ///   - adjust: the last word on the parameters.
    /// - Throws: ``LlamaError/contextRefused(cells:reason:)``.
    init(
        model: LlamaModel, configuration: LlamaContext.Configuration, batchSize: Int, threads: Int,
        adjust: (inout llama_context_params) -> Void
    ) throws {
        var parameters = llama_context_default_params()
        parameters.n_ctx = UInt32(configuration.cells)
        parameters.n_batch = UInt32(batchSize)
        parameters.n_ubatch = UInt32(batchSize)
        parameters.n_seq_max = UInt32(configuration.sequences)
        parameters.n_threads = Int32(threads)
        parameters.n_threads_batch = parameters.n_threads
        parameters.kv_unified = true  // otherwise a partial fork ends the process
        switch configuration.attention {
        case .flash: break
        case .matrix:
            parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED
            // Few graphics processors multiply matrices of bfloat16.
            let isBrainFloat = model.hasBrainFloatWeights && !model.isOffloaded
            parameters.type_k = isBrainFloat ? GGML_TYPE_BF16 : GGML_TYPE_F16
            parameters.type_v = parameters.type_k
        case .precise:
            // With flash attention llama.cpp rounds keys and values to 16 bits, whatever the cache holds.
            parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED
            parameters.type_k = GGML_TYPE_F32
            parameters.type_v = GGML_TYPE_F32
        }
        if let type = model.options.cacheType {
            parameters.type_k = type.ggml
            parameters.type_v = type.ggml
            if type.isQuantized { parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED }
        }
        parameters.no_perf = true
        parameters.abort_callback = { data in
            guard let data else { return false }
            return Unmanaged<GraphSwitch>.fromOpaque(data).takeUnretainedValue().isRaised
        }
        parameters.abort_callback_data = Unmanaged.passUnretained(graphSwitch).toOpaque()
        // Asked ahead of every tensor of a graph whether it is to be looked at, and with it, whether to go on.
        parameters.cb_eval = { tensor, isAsking, data in
            guard isAsking, let data, let name = ggml_get_name(tensor) else { return isAsking }
            let isWanted = Unmanaged<GraphSwitch>.fromOpaque(data).takeUnretainedValue().stopsAtStates
            return isWanted && strcmp(name, "result_embd_pooled") == 0
        }
        parameters.cb_eval_user_data = parameters.abort_callback_data
        adjust(&parameters)
        LlamaLibrary.forgetLog()
        guard let pointer = model.handle.exclusively({ llama_init_from_model($0, parameters) }) else {
            throw LlamaError.contextRefused(
                cells: configuration.cells, reason: LlamaLibrary.firstComplaint(otherwise: "no reason was given"))
        }
        self.pointer = pointer
        self.model = model.handle
        memory = llama_get_memory(pointer)
        batch = llama_batch_init(Int32(batchSize), 0, Int32(configuration.sequences))
    }

    var cells: Int { Int(llama_n_ctx(pointer)) }

    func set(_ row: Int, to entry: BackendRow) {
        batch.token[row] = entry.token
        batch.pos[row] = entry.position
        batch.n_seq_id[row] = Int32(entry.sequences.count)
        for (place, sequence) in entry.sequences.enumerated() { batch.seq_id[row]?[place] = sequence }
        batch.logits[row] = entry.isOutput ? 1 : 0
    }

    func setWantsStates(_ wantsStates: Bool) { llama_set_embeddings(pointer, wantsStates) }

    func logits(at row: Int32) -> UnsafePointer<Float>? {
        llama_get_logits_ith(pointer, row).map { UnsafePointer($0) }
    }

    func state(at row: Int32) -> UnsafePointer<Float>? {
        llama_get_embeddings_ith(pointer, row).map { UnsafePointer($0) }
    }

    func copy(_ positions: Range<Int32>, of source: Int32, to target: Int32) {
        llama_memory_seq_cp(memory, source, target, positions.lowerBound, positions.upperBound)
    }

    func clear() { llama_memory_clear(memory, false) }

    func remove(_ sequence: Int32, from position: Int32) {
        // Fails only for models that keep one state for all positions, which are not loaded.
        _ = llama_memory_seq_rm(memory, sequence, position, -1)
    }

    func decode(_ rows: Int32, threads: Int?) -> DecodeOutcome {
        if rows == 0 { return DecodeOutcome(code: 0) }
        if let threads { llama_set_n_threads(pointer, Int32(threads), Int32(threads)) }
        if graphSwitch.isRaised { return DecodeOutcome(code: 2) }
        LlamaLibrary.forgetLog()
        var batch = batch
        batch.n_tokens = rows
        let code = llama_decode(pointer, batch)
        return DecodeOutcome(code: code, complaint: code == 0 ? "" : LlamaLibrary.firstComplaint(otherwise: ""))
    }

    deinit {
        llama_batch_free(batch)
        llama_free(pointer)
    }
}
