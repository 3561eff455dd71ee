import TransferQ

/// What can go wrong between a GGUF file and its tokens. Every message says what, where and how to mend it.
public enum LlamaError: Error, Equatable, Sendable {
    case noSuchFile(path: String)
    case isDirectory(path: String)
    case unreadable(path: String)
    case notRegularFile(path: String)
    case notGGUF(path: String)
    case damaged(path: String, reason: String)
    case notLanguageModel(path: String, kind: String)
    case adapterRejected(path: String, model: String, reason: String)
    case isAdapter(path: String)
    case noChatTemplate(model: String)
    case unknownChatTemplate(model: String)
    case unreadableTemplate(model: String, reason: String)
    case templateRefuses(model: String, message: Int?, role: String?, reason: String)
    case templateFails(model: String, message: Int?, role: String?, reason: String)
    case emptyPrompt
    case invalidRole(message: Int, role: String)
    case invalidToken(token: Int32, vocabulary: Int)
    case promptTooLong(tokens: Int, limit: Int)
    case tooManySequences(needed: Int, limit: Int)
    case contextRefused(cells: Int, reason: String)
    case contextFull(needed: Int, cells: Int)
    case decodeFailed(code: Int32, reason: String)
    case logitsNotNumeric
    case noStates(model: String)
    case notClassifier(path: String)
    case notEncoder(path: String)
    case noClassificationHead(path: String)
    case wrongBackbone(head: String, model: String, reason: String)
    case noBackbone(head: String, model: String, sha256: String)
    case quantizationFailed(path: String, reason: String)
    /// `requirement` completes "NAME must be …".
    case badOption(name: String, value: String, requirement: String)
}

extension LlamaError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badOption(let name, let value, let requirement):
            "\(name) must be \(requirement), not \(value)"
        case .noSuchFile(let path):
            "there is no file \(path); check the path, or see what is there with: transferq models list"
        case .isDirectory(let path):
            "\(path) is a folder; name the GGUF file in it"
        case .unreadable(let path):
            "the file \(path) cannot be read; check its permissions"
        case .notRegularFile(let path):
            "\(path) is a pipe, a socket or a device; name a GGUF file on disk"
        case .notGGUF(let path):
            "\(path) is not a GGUF file; convert the model to GGUF first, or name another file"
        case .damaged(let path, let reason):
            "the model file \(path) is damaged or of an unknown kind (\(reason)); get it again"
        case .notLanguageModel(let path, let kind):
            "\(path) is a GGUF file but no language model (\(kind)); name a model that generates text"
        case .adapterRejected(let path, let model, let reason):
            "the LoRA adapter \(path) does not fit the model \(model) (\(reason)); use an adapter made for this model"
        case .isAdapter(let path):
            "\(path) is a LoRA adapter and no model by itself; name it as --baseline-lora beside its model"
        case .noChatTemplate(let model):
            "the model \(model) has no chat template; name an instruction-tuned one, or continue plain text (generate --raw)"
        case .unknownChatTemplate(let model):
            "llama.cpp's C interface has no layout for the chat template of \(model), and this program was built without "
                + "llama.cpp's Jinja engine; build it with scripts/swift, or write the prompt in the model's own format "
                + "(generate --raw --special)"
        case .unreadableTemplate(let model, let reason):
            "the chat template of \(model) is no Jinja that llama.cpp can read (\(reason)); "
                + "write the prompt in the model's own format (generate --raw --special)"
        case .templateRefuses(let model, let message, let role, let reason):
            "the chat template of \(model) refuses \(Self.turn(message, role)): \(reason); "
                + "change that turn, or write the prompt in the model's own format (generate --raw --special)"
        case .templateFails(let model, let message, let role, let reason):
            "the chat template of \(model) fails at \(Self.turn(message, role)): \(reason); "
                + "write the prompt in the model's own format (generate --raw --special)"
        case .invalidRole(let message, let role):
            "message \(message) has the role \"\(role)\"; roles are words of letters, as system, user or assistant"
        case .emptyPrompt:
            "the prompt is empty; give at least one word, as an argument, with --file or on standard input"
        case .invalidToken(let token, let vocabulary):
            "the token \(token) is outside the vocabulary of \(vocabulary) tokens"
        case .promptTooLong(let tokens, let limit):
            "the prompt has \(tokens) tokens and the model's context holds \(limit), the answer included; shorten it"
        case .tooManySequences(let needed, let limit):
            "this needs \(needed) sequences at once and llama.cpp holds \(limit); lower k, the rollouts or n"
        case .contextRefused(let cells, let reason):
            "llama.cpp could not make a context of \(cells) tokens (\(reason)); lower k, the horizon or max-tokens"
        case .contextFull(let needed, let cells):
            "the context holds \(cells) tokens and this step needs \(needed); "
                + "lower k, the rollouts, the horizon or max-tokens, or make a larger context"
        case .decodeFailed(let code, let reason):
            "llama.cpp failed to decode (code \(code)\(reason.isEmpty ? "" : ", " + reason)); "
                + "the model file may be damaged, or memory short"
        case .logitsNotNumeric:
            "the model returned logits that are not numbers; the file may be damaged: get it again"
        case .noStates(let model):
            "the model \(model) gives no hidden states, so no head can read them; choose another model"
        case .wrongBackbone(let head, let model, let reason):
            "the head \(head) does not fit the model \(model): \(reason); name the model that it was fitted on"
        case .noBackbone(let head, let model, let sha256):
            "the head \(head) reads the states of \(model) (SHA-256 \(sha256.prefix(12))…), which is not here; "
                + "bring that file with transferq models pull, or answer with it as --model"
        case .notEncoder(let path):
            "\(path) is a GGUF file but no sentence encoder that pools by the mean; make one with scripts/make-encoder"
        case .notClassifier(let path):
            "\(path) is a GGUF file but scores no texts; if it is the body of a reward model, extract its head with: "
                + "transferq reward convert CHECKPOINT --model \(path) --output \(path).head.json"
        case .noClassificationHead(let path):
            "\(path) pools texts for a score but holds no classification head (no tensor cls.output.weight), "
                + "so its numbers would mean nothing; convert the model again with its head, or ask a chat model instead: "
                + "judge:{\"question\": \"Is this a good answer? {response} Answer Yes or No.\"}"
        case .quantizationFailed(let path, let reason):
            "\(path) could not be requantised (\(reason))"
        }
    }

    private static func turn(_ message: Int?, _ role: String?) -> String {
        guard let message, let role else { return "the conversation" }
        return "message \(message) (\(role))"
    }

    init(_ failure: ChatTemplate.Failure, model: String, message: Int?, of messages: [Message]) {
        let role = message.map { messages[$0 - 1].role }
        self =
            switch failure {
            case .unreadable(let reason): .unreadableTemplate(model: model, reason: reason)
            case .refused(let reason):
                .templateRefuses(model: model, message: message, role: role, reason: reason)
            case .failed(let reason): .templateFails(model: model, message: message, role: role, reason: reason)
            case .unknownLayout: .unknownChatTemplate(model: model)
            }
    }
}
