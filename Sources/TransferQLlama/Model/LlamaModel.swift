import CLlama
import Foundation
public import TransferQ

/// The weights of a GGUF file, loaded once and shared by every context on them.
///
///     let model = try await LlamaModel(path: "model.gguf")
///     let context = try await LlamaContext(model: model)
///     let policy = try await LlamaPolicy(context: context, prompt: model.prompt(for: messages))
@InferenceActor
public final class LlamaModel {
    public nonisolated let path: String
    /// All files of the model: more than one where it is split.
    public nonisolated var files: [String] { GGUFFile.parts(of: path) }
    public nonisolated let vocabulary: LlamaVocabulary
    /// The longest text that the model was trained on, in tokens.
    public nonisolated let trainedContextLength: Int
    let handle: ModelHandle

    /// What a file is loaded for.
    public enum Purpose: String, Sendable {
        /// To write, and to be read as it writes.
        case generation
        /// To score whole texts; encoders will do.
        case classification
    }

    /// Loads a file.
    ///
    /// llama.cpp can end the whole process on a file that is damaged with intent or bad luck. Where that matters,
    /// let a ``ModelProbe`` try the file first.
    ///
    /// - Throws: ``LlamaError`` when there is no such file, or it holds no model that generates text;
    ///   `CancellationError` when the task is cancelled meanwhile.
    public init(path: String, purpose: Purpose = .generation) throws {
        guard try GGUFHeader(path).kind != .adapter else { throw LlamaError.isAdapter(path: path) }
        LlamaLibrary.forgetLog()
        var parameters = llama_model_default_params()
        // Called on this thread between tensors; false stops the load.
        parameters.progress_callback = { _, _ in !Task.isCancelled }
        guard let pointer = llama_model_load_from_file(path, parameters) else {
            try Task.checkCancellation()
            throw LlamaError.damaged(
                path: path, reason: LlamaLibrary.firstComplaint(otherwise: "llama.cpp could not read it"))
        }
        let handle = ModelHandle(pointer)
        self.handle = handle
        self.path = path
        let architecture = Self.metadata("general.architecture", of: pointer)
        isClassifier =
            Self.metadata("\(architecture).pooling_type", of: pointer) == "\(LLAMA_POOLING_TYPE_RANK.rawValue)"
        guard purpose == .generation || isClassifier else { throw LlamaError.notClassifier(path: path) }
        guard let vocabulary = llama_model_get_vocab(pointer), llama_vocab_n_tokens(vocabulary) > 0,
            purpose == .classification || (llama_model_has_decoder(pointer) && !llama_model_has_encoder(pointer))
        else { throw LlamaError.notLanguageModel(path: path, kind: "it has an encoder or no vocabulary") }
        guard purpose == .classification || !Self.encoders.contains(where: architecture.contains) else {
            throw LlamaError.notLanguageModel(path: path, kind: "its architecture is \(architecture)")
        }
        guard !llama_model_is_diffusion(pointer) else {
            throw LlamaError.notLanguageModel(path: path, kind: "it is a diffusion model")
        }
        guard !llama_model_is_recurrent(pointer), !llama_model_is_hybrid(pointer) else {
            throw LlamaError.notLanguageModel(
                path: path, kind: "it is recurrent, so rollouts cannot fork its state")
        }
        self.vocabulary = LlamaVocabulary(vocabulary)
        trainedContextLength = Int(llama_model_n_ctx_train(pointer))
        width = Int(llama_model_n_embd_out(pointer))
        let ends = [llama_vocab_eot(vocabulary), llama_vocab_eos(vocabulary)]
        endToken = ends.first { $0 >= 0 }
        let format = Self.metadata("general.file_type", of: pointer)
        hasPreciseWeights = format == "\(LLAMA_FTYPE_ALL_F32.rawValue)"
        hasBrainFloatWeights = format == "\(LLAMA_FTYPE_MOSTLY_BF16.rawValue)"
    }

    /// What llama.cpp calls the model, e.g. `llama 256M Q8_0`.
    public var summary: String {
        var buffer = [CChar](repeating: 0, count: 128)
        let length = llama_model_desc(handle.pointer, &buffer, buffer.count)
        return String(decoding: buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// `general.architecture` of the file, e.g. `llama`.
    public var architecture: String { Self.metadata("general.architecture", of: handle.pointer) }

    /// Parts of the names of architectures that read text but do not write it.
    private static let encoders = ["bert", "t5encoder", "clip", "wavtokenizer", "embedding"]

    private static func metadata(_ key: String, of model: OpaquePointer) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        let length = llama_model_meta_val_str(model, key, &buffer, buffer.count)
        return String(decoding: buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether the file scores texts itself (rank pooling).
    public nonisolated let isClassifier: Bool
    /// Whether the weights have 32 bits. With attention in 32 bits, results then hardly depend on the shape of a batch.
    public nonisolated let hasPreciseWeights: Bool
    /// Whether the weights have the 16 bits of bfloat16.
    nonisolated let hasBrainFloatWeights: Bool
    /// How hidden states are read for rewards: what they are worth shall not depend on who reads them, and with 32 bits
    /// hardly on what is read beside them.
    public nonisolated var readingAttention: LlamaContext.Attention { hasBrainFloatWeights ? .matrix : .precise }
    /// What ends an answer; nil when the vocabulary has no such token.
    public nonisolated let endToken: Token?
    /// Width of the final hidden states.
    public nonisolated let width: Int

    /// Number of weights.
    public var parameterCount: Int { Int(llama_model_n_params(handle.pointer)) }

    /// The model's own chat template, in Jinja.
    public var chatTemplate: String? {
        llama_model_chat_template(handle.pointer, nil).map { String(cString: $0) }
    }

    /// The tokens of a conversation in the model's chat template, ready for an assistant's answer.
    ///
    /// Text of messages is never read as special tokens, whatever it contains.
    ///
    /// - Parameter isOpen: whether an assistant's answer is to follow; false closes the last turn.
    /// - Throws: ``LlamaError/emptyPrompt``, ``LlamaError/noChatTemplate(model:)`` or
    ///   ``LlamaError/unknownChatTemplate(model:)``.
    public func prompt(for messages: [Message], isOpen: Bool = true) throws -> [Token] {
        try PromptEncoder(model: self).encode(messages, isOpen: isOpen)
    }

    /// The tokens of a plain text to be continued, without a template.
    public func prompt(continuing text: String) throws -> [Token] {
        try PromptEncoder(model: self).encode(raw: text)
    }
}

/// Frees the model with its last user. llama.cpp needs no particular thread for it.
final class ModelHandle: Sendable {
    nonisolated(unsafe) let pointer: OpaquePointer  // used on the inference actor only; freed when nobody can

    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { llama_model_free(pointer) }
}
