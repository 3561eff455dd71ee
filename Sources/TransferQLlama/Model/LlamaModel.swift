import CLlama
import Foundation
import Synchronization
public import TransferQ

/// The weights of a GGUF file, loaded once and shared by every context on them.
///
///     let model = try await LlamaModel(path: "model.gguf")
///     let context = try await LlamaContext(model: model)
///     let policy = try await LlamaPolicy(context: context, prompt: model.prompt(for: messages))
public final class LlamaModel: Sendable {
    public let path: String
    /// All files of the model: more than one where it is split.
    public var files: [String] { GGUFFile.parts(of: path) }
    public let tokenizer: LlamaTokenizer
    /// The longest prompt with its answer, in tokens: what the model was trained on, or less where options say so.
    public let contextLength: Int
    public let options: LlamaOptions
    let handle: ModelHandle
    /// llama.cpp's own, for measurements that go around this class.
    package nonisolated var pointer: OpaquePointer { handle.pointer }

    /// What a file is loaded for.
    public enum Purpose: String, Sendable {
        /// To write, and to be read as it writes.
        case generation
        /// To score whole texts; encoders will do.
        case classification
        /// To turn texts into vectors.
        case embedding
    }

    /// Loads a file, on a thread of its own.
    ///
    /// llama.cpp can end the whole process on a file that is damaged with intent or bad luck. Where that matters,
    /// let a ``ModelProbe`` try the file first.
    ///
    /// - Throws: ``LlamaError`` when there is no such file, or it holds no model that generates text;
    ///   `CancellationError` when the task is cancelled meanwhile.
    public init(
        path: String, purpose: Purpose = .generation, options: LlamaOptions = .standard
    ) async throws {
        _ = LlamaLibrary.start
        guard try GGUFHeader(path).kind != .adapter else { throw LlamaError.isAdapter(path: path) }
        let handle = try await BlockingWork.run { signal in
            LlamaLibrary.forgetLog()
            var parameters = llama_model_default_params()
            if let layers = options.gpuLayers { parameters.n_gpu_layers = Int32(layers) }
            // Called between tensors; false stops the load.
            parameters.progress_callback = { _, signal in
                guard let signal else { return true }
                return !Unmanaged<AbortSignal>.fromOpaque(signal).takeUnretainedValue().isRaised
            }
            parameters.progress_callback_user_data = Unmanaged.passUnretained(signal).toOpaque()
            guard let pointer = llama_model_load_from_file(path, parameters) else {
                if signal.isRaised { throw CancellationError() }
                throw LlamaError.damaged(
                    path: path, reason: LlamaLibrary.firstComplaint(otherwise: "llama.cpp could not read it"))
            }
            return ModelHandle(pointer)
        }
        let pointer = handle.pointer
        self.handle = handle
        self.path = path
        let architecture = Self.metadata("general.architecture", of: pointer)
        let pooling = Self.metadata("\(architecture).pooling_type", of: pointer)
        isClassifier = pooling == "\(LLAMA_POOLING_TYPE_RANK.rawValue)"
        guard purpose != .classification || isClassifier else { throw LlamaError.notClassifier(path: path) }
        guard purpose != .embedding || pooling == "\(LLAMA_POOLING_TYPE_MEAN.rawValue)" else {
            throw LlamaError.notEncoder(path: path)
        }
        guard let vocabulary = llama_model_get_vocab(pointer), llama_vocab_n_tokens(vocabulary) > 0,
            purpose != .generation || (llama_model_has_decoder(pointer) && !llama_model_has_encoder(pointer))
        else { throw LlamaError.notLanguageModel(path: path, kind: "it has an encoder or no vocabulary") }
        guard purpose != .generation || !Self.encoders.contains(where: architecture.contains) else {
            throw LlamaError.notLanguageModel(path: path, kind: "its architecture is \(architecture)")
        }
        guard !llama_model_is_diffusion(pointer) else {
            throw LlamaError.notLanguageModel(path: path, kind: "it is a diffusion model")
        }
        guard !llama_model_is_recurrent(pointer), !llama_model_is_hybrid(pointer) else {
            throw LlamaError.notLanguageModel(
                path: path, kind: "it is recurrent, so rollouts cannot fork its state")
        }
        tokenizer = LlamaTokenizer(vocabulary, of: handle)
        contextLength = min(Int(llama_model_n_ctx_train(pointer)), options.contextLength ?? .max)
        self.options = options
        let heads = max(1, Int(llama_model_n_head(pointer)))
        try options.check(
            headWidth: Int(Self.metadata("\(architecture).attention.key_length", of: pointer))
                ?? Int(llama_model_n_embd(pointer)) / heads)
        width = Int(llama_model_n_embd_out(pointer))
        let format = Self.metadata("general.file_type", of: pointer)
        hasPreciseWeights = format == "\(LLAMA_FTYPE_ALL_F32.rawValue)"
        hasBrainFloatWeights = format == "\(LLAMA_FTYPE_MOSTLY_BF16.rawValue)"
        parsedTemplate = Self.parseTemplate(of: pointer, vocabulary: vocabulary)
        let closing = try? parsedTemplate?.get().closing()  // an unreadable template closes nothing
        endToken =
            closing.flatMap(tokenizer.firstMarker)
            ?? [llama_vocab_eos(vocabulary), llama_vocab_eot(vocabulary)].first { $0 >= 0 }
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
    public let isClassifier: Bool
    /// Whether the weights have 32 bits. With attention in 32 bits, results then hardly depend on the shape of a batch.
    public let hasPreciseWeights: Bool
    /// Whether the weights have the 16 bits of bfloat16.
    let hasBrainFloatWeights: Bool
    /// How hidden states are read for rewards: what they are worth shall not depend on who reads them, and with 32 bits
    /// hardly on what is read beside them.
    public var readingAttention: LlamaContext.Attention {
        hasBrainFloatWeights ? isOffloaded ? .flash : .matrix : .precise
    }
    /// Whether a graphics processor or the like computes layers of it.
    public var isOffloaded: Bool { LlamaLibrary.hasAccelerator && options.gpuLayers != 0 }
    /// What ends an answer in a conversation: the special token that the chat template closes an assistant's turn with;
    /// the vocabulary's own end where there is no template, or one that closes turns without a special token; nil when
    /// there is none either.
    public let endToken: Token?
    /// Width of the final hidden states.
    public let width: Int

    /// Number of weights.
    public var parameterCount: Int { Int(llama_model_n_params(handle.pointer)) }

    /// The model's own chat template, in Jinja.
    public var chatTemplate: String? {
        llama_model_chat_template(handle.pointer, nil).map { String(cString: $0) }
    }

    private let parsedTemplate: Result<ChatTemplate, ChatTemplate.Failure>?

    private static func parseTemplate(
        of model: OpaquePointer, vocabulary: OpaquePointer
    ) -> Result<ChatTemplate, ChatTemplate.Failure>? {
        guard let source = llama_model_chat_template(model, nil).map({ String(cString: $0) }) else { return nil }
        let tokens = [
            "bos_token": llama_vocab_bos(vocabulary), "eos_token": llama_vocab_eos(vocabulary),
            "pad_token": llama_vocab_pad(vocabulary), "sep_token": llama_vocab_sep(vocabulary),
            "mask_token": llama_vocab_mask(vocabulary),
        ]
        let variables = tokens.compactMapValues { token -> String? in
            guard token >= 0, let text = llama_vocab_get_text(vocabulary, token) else { return nil }
            return String(cString: text)
        }
        do { return .success(try ChatTemplate(source: source, variables: variables)) } catch {
            return .failure(error as? ChatTemplate.Failure ?? .unreadable("\(error)"))
        }
    }

    /// The chat template, ready to lay out conversations.
    ///
    /// - Throws: ``LlamaError/noChatTemplate(model:)`` or ``LlamaError/unreadableTemplate(model:reason:)``.
    public func template() throws -> ChatTemplate {
        switch parsedTemplate {
        case .success(let template): return template
        case .failure(let failure): throw LlamaError(failure, model: path, message: nil, of: [])
        case nil: throw LlamaError.noChatTemplate(model: path)
        }
    }

    /// The tokens of a conversation in the model's chat template, ready for an assistant's answer.
    ///
    /// Text of messages is never read as special tokens, whatever it contains.
    ///
    /// - Parameter isOpen: whether an assistant's answer is to follow; false closes the last turn.
    /// - Throws: as ``layOut(_:isOpen:date:)``.
    public func prompt(for messages: [Message], isOpen: Bool = true) throws -> [Token] {
        try PromptEncoder(model: self).encode(messages, isOpen: isOpen)
    }

    /// A conversation in the model's chat template, with what had to be done to fit it in.
    ///
    /// - Parameters:
    ///   - isOpen: whether an assistant's answer is to follow; false closes the last turn.
    ///   - date: what the template is told when it asks.
    /// - Throws: ``LlamaError/emptyPrompt``, ``LlamaError/noChatTemplate(model:)``,
    ///   ``LlamaError/templateRefuses(model:message:role:reason:)`` with the turn that the template does not take, or
    ///   another ``LlamaError`` about the template.
    public func layOut(
        _ messages: [Message], isOpen: Bool = true, date: TemplateDate = .current
    ) throws -> PromptLayout {
        try PromptEncoder(model: self).layOut(messages, isOpen: isOpen, date: date)
    }

    /// The tokens of a plain text to be continued, without a template.
    ///
    /// - Parameter readsMarkers: whether special tokens that the text spells are meant as such; otherwise they are
    ///   letters like all others.
    /// - Throws: ``LlamaError/emptyPrompt``.
    public func prompt(continuing text: String, readsMarkers: Bool = false) throws -> [Token] {
        try PromptEncoder(model: self).encode(raw: text, readsMarkers: readsMarkers)
    }

    /// A plain text to be continued, as ``prompt(continuing:readsMarkers:)`` has it.
    public func layOut(continuing text: String, readsMarkers: Bool = false) throws -> PromptLayout {
        PromptLayout(
            tokens: try prompt(continuing: text, readsMarkers: readsMarkers), text: text, isSystemFolded: false,
            date: nil)
    }
}

/// Frees the model with its last user. llama.cpp needs no particular thread for it.
final class ModelHandle: Sendable {
    // Read by all threads, changed under `lock` only; freed when nobody can.
    nonisolated(unsafe) let pointer: OpaquePointer
    private let lock = Mutex(())

    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { llama_model_free(pointer) }

    /// Runs what changes the model, or reads what may change: it keeps a list of its adapters, which new contexts look at.
    func exclusively<Result>(_ work: (OpaquePointer) -> Result) -> Result { lock.withLock { _ in work(pointer) } }
}
