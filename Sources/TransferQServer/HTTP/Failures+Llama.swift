import TransferQLlama

extension Failure {
    /// What a request can do about an error of the models in this process; nil where it can do nothing.
    static func engineAnswer(_ error: any Error, _ message: String) -> APIError? {
        guard let error = error as? LlamaError else { return nil }
        return switch error {
        case .promptTooLong: .invalid(message, parameter: "messages", code: "context_length_exceeded")
        case .emptyPrompt: .invalid("the prompt is empty; give at least one word", parameter: "messages")
        case .templateRefuses, .templateFails, .invalidRole: .invalid(message, parameter: "messages")
        case .noChatTemplate, .unknownChatTemplate, .unreadableTemplate: .invalid(message, parameter: "model")
        case .tooManySequences, .contextRefused, .contextFull: .invalid(message, parameter: "transferq")
        default: nil
        }
    }
}
