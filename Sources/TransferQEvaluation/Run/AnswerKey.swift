import Foundation
public import TransferQ
import TransferQDigest

/// Names of answers and prompts.
public enum AnswerKey {
    private struct Content: Encodable {
        let prompt: String
        let method: String
        let parameters: [String: String]
        let seed: UInt64
        let text: String
    }

    /// The first 16 hexadecimal digits of SHA-256 over prompt, method with parameters, seed and text: equal ones are one
    /// answer, which is scored and judged once.
    ///
    /// - Parameter parameters: all that the method runs with, its baseline included.
    public static func of(_ place: AnswerPlace, parameters: [String: String], text: String) throws -> String {
        try Fingerprint.of(
            Content(
                prompt: place.promptHash, method: place.method, parameters: parameters, seed: place.seed, text: text))
    }

    /// The first 16 hexadecimal digits of SHA-256 over a conversation.
    public static func prompt(_ messages: [Message]) throws -> String { try Fingerprint.of(messages) }
}
