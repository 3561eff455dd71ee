import CLlama
import Foundation

/// A LoRA adapter loaded for one model; freed with its last user.
///
/// llama.cpp accepts adapters of which it applies nothing: without tensors, or with tensors for weights that it multiplies
/// nothing by. Loading one here therefore decodes a token and looks which tensors take part.
public final class LlamaAdapter: Sendable {
    let model: LlamaModel
    private let handle: AdapterHandle
    public let path: String
    /// Names of the weights that the adapter changes, e.g. `blk.0.attn_q.weight`, in order.
    public let applied: [String]
    /// Names of tensors in the file that change nothing, in order.
    public let ignored: [String]

    /// - Throws: ``LlamaError`` when the file is missing, no adapter, made for another model, or changes nothing in this one.
    public init(path: String, model: LlamaModel) async throws {
        let tensors = try Self.check(path, for: model.path)
        let threads = InferenceLane.threads(wanted: nil)
        let (handle, used) = try await BlockingWork.run { _ in
            let handle = try AdapterHandle(path: path, model: model)
            return (handle, try Self.tensorsUsed(by: handle, path: path, model: model, threads: threads))
        }
        self.handle = handle
        self.model = model
        self.path = path
        applied = tensors.filter { used.contains($0 + Self.suffixes[0]) }
        let changing = Set(applied)
        ignored = tensors.filter { !changing.contains($0) }
        guard !applied.isEmpty else {
            throw LlamaError.adapterRejected(
                path: path, model: model.path,
                reason: "llama.cpp applies none of its tensors: \(Self.list(tensors))")
        }
    }

    /// Has a context's model compute under the adapter.
    func apply(to context: ContextHandle) throws {
        guard handle.isApplied(to: context) else {
            throw LlamaError.adapterRejected(path: path, model: model.path, reason: "llama.cpp could not apply it")
        }
    }

    /// What is worth telling: nil when the whole adapter applies.
    public var notice: String? {
        guard !ignored.isEmpty else { return nil }
        return "of the adapter \(path) llama.cpp applies \(applied.count) of \(applied.count + ignored.count) tensors "
            + "(\(Self.list(applied))) and ignores the others (\(Self.list(ignored))); "
            + "for all of it, merge the adapter into its model ahead of the conversion to GGUF"
    }

    static let suffixes = [".lora_a", ".lora_b"]

    /// Names of weights, those of all layers together, as `blk.N.attn_q.weight (30 layers)`.
    package static func list(_ names: [String]) -> String {
        Dictionary(grouping: names) { $0.replacing(/\.[0-9]+\./, with: ".N.") }
            .sorted { $0.key < $1.key }
            .map { $1.count > 1 ? "\($0) (\($1.count) layers)" : $1[0] }
            .joined(separator: ", ")
    }

    /// The weights that an adapter file has tensors for, each once.
    static func targets(_ header: GGUFHeader) -> [String] {
        let names = header.tensors.map { tensor in
            suffixes.first(where: tensor.name.hasSuffix).map { String(tensor.name.dropLast($0.count)) } ?? tensor.name
        }
        var known: Set<String> = []
        return names.filter { known.insert($0).inserted }
    }

    /// What can be told without loading anything.
    ///
    /// - Returns: the weights that the file has tensors for.
    /// - Throws: ``LlamaError`` when it is no adapter, is cut, has no tensors, or changes embeddings that `model` uses for
    ///   its outputs as well, on which llama.cpp ends the process.
    @discardableResult
    static func check(_ path: String, for model: String) throws -> [String] {
        func rejected(_ reason: String) -> LlamaError { .adapterRejected(path: path, model: model, reason: reason) }
        let header = try GGUFHeader(path)
        guard header.kind == .adapter else {
            throw rejected("it is no adapter but a file of the kind \(header.text("general.type") ?? "model")")
        }
        try header.checkExtents()
        let targets = targets(header)
        guard header.tensors.contains(where: { tensor in suffixes.contains(where: tensor.name.hasSuffix) }) else {
            throw rejected("it holds no LoRA tensors, so it would change nothing")
        }
        let embeddings = "token_embd.weight"
        if targets.contains(embeddings) {
            let parts = try GGUFFile.parts(of: model).map(GGUFHeader.init)
            guard parts.contains(where: { $0.hasTensor("output.weight") }) else {
                throw rejected(
                    "it changes the token embeddings, which this model uses for its outputs as well, and llama.cpp cannot "
                        + "apply that; merge the adapter into the model, or train it without the embeddings")
            }
        }
        return targets
    }

    /// The names of the adapter's tensors that take part in decoding a token.
    private static func tensorsUsed(
        by adapter: AdapterHandle, path: String, model: LlamaModel, threads: Int
    ) throws -> Set<String> {
        final class Names { var all: Set<String> = [] }
        let names = Names()
        let handle = try ContextHandle(
            model: model, configuration: .init(cells: 256, sequences: 1), batchSize: 32, threads: threads
        ) { parameters in
            parameters.pooling_type = LLAMA_POOLING_TYPE_NONE
            // Asked ahead of every operation, with its operands; the answer is that nothing needs to be looked at afterwards.
            parameters.cb_eval = { tensor, isAsking, data in
                guard isAsking, let data, let operand = tensor?.pointee.src.0 else { return !isAsking }
                // Schedulers name copies BACKEND#NAME#NUMBER.
                let parts = String(cString: ggml_get_name(operand)).split(separator: "#")
                Unmanaged<Names>.fromOpaque(data).takeUnretainedValue().all.formUnion(parts.map(String.init))
                return false
            }
            parameters.cb_eval_user_data = Unmanaged.passUnretained(names).toOpaque()
        }
        guard adapter.isApplied(to: handle) else {
            throw LlamaError.adapterRejected(path: path, model: model.path, reason: "llama.cpp could not apply it")
        }
        let batch = handle.batch
        (batch.token[0], batch.pos[0], batch.n_seq_id[0], batch.logits[0]) = (0, 0, 1, 1)
        batch.seq_id[0]?[0] = 0
        let outcome = handle.decode(1, threads: nil)
        guard outcome.code == 0 else {
            throw LlamaError.adapterRejected(
                path: path, model: model.path,
                reason: "a token could not be decoded with it, \(outcome.complaint)")
        }
        return withExtendedLifetime(names) { names.all }
    }
}

/// Frees the adapter with its last user.
private final class AdapterHandle: Sendable {
    // Contexts only read it; freed when nobody can.
    private nonisolated(unsafe) let pointer: OpaquePointer
    private let model: ModelHandle

    /// - Throws: ``LlamaError/adapterRejected(path:model:reason:)``.
    init(path: String, model: LlamaModel) throws {
        LlamaLibrary.forgetLog()
        guard let pointer = model.handle.exclusively({ llama_adapter_lora_init($0, path) }) else {
            throw LlamaError.adapterRejected(
                path: path, model: model.path,
                reason: LlamaLibrary.firstComplaint(otherwise: "llama.cpp refused it"))
        }
        self.pointer = pointer
        self.model = model.handle
    }

    func isApplied(to context: ContextHandle) -> Bool {
        var adapters: [OpaquePointer?] = [pointer]
        var scales: [Float] = [1]
        return llama_set_adapters_lora(context.pointer, &adapters, 1, &scales) == 0
    }

    deinit { model.exclusively { _ in llama_adapter_lora_free(pointer) } }
}
