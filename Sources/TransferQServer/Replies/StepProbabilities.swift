import Foundation
import TransferQ

/// Log-probabilities of one step: of π_α, the distribution that the method chose from, with the reference's beside them.
struct StepProbabilities: Sendable {
    struct Entry: Sendable {
        let bytes: [UInt8]
        let logProbability: Double
        let reference: Double?

        var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    let chosen: Entry
    /// Likeliest first.
    let top: [Entry]

    /// What OpenAI writes for log 0.
    private static let least = -9999.0

    /// - Parameter count: likeliest candidates that are told.
    init(_ step: DecodingStep, tokenizer: any Tokenizer, top count: Int) {
        func entry(_ tokens: [Token], _ candidate: ScoredCandidate?) -> Entry {
            let probability = candidate?.probability ?? 0
            return Entry(
                bytes: tokens.flatMap(tokenizer.bytes),
                logProbability: probability > 0 ? max(log(probability), Self.least) : Self.least,
                reference: candidate.map { max($0.logProbability, Self.least) })
        }
        let decision = step.decision
        chosen = entry(decision.tokens, decision.candidates.first { $0.tokens == decision.tokens })
        let likeliest = decision.candidates.filter { $0.probability > 0 }.sorted { $0.probability > $1.probability }
        top = likeliest.prefix(count).map { entry($0.tokens, $0) }
    }
}

/// As chats have them.
struct ChatProbabilities: Encodable {
    let steps: [StepProbabilities]

    private struct Token: Encodable {
        struct Reference: Encodable {
            let logProbability: Double?

            private enum CodingKeys: String, CodingKey { case logProbability = "reference_logprob" }
        }

        let token: String
        let bytes: [UInt8]
        let logprob: Double
        let top: [Token]?
        let transferq: Reference

        private enum CodingKeys: String, CodingKey {
            case token, bytes, logprob, transferq
            case top = "top_logprobs"
        }

        init(_ entry: StepProbabilities.Entry, top: [StepProbabilities.Entry]? = nil) {
            token = entry.text
            bytes = entry.bytes
            logprob = entry.logProbability
            self.top = top?.map { Token($0) }
            transferq = Reference(logProbability: entry.reference)
        }
    }

    private enum CodingKeys: CodingKey { case content, refusal }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(steps.map { Token($0.chosen, top: $0.top) }, forKey: .content)
        try container.encodeNil(forKey: .refusal)
    }
}

/// As completions have them.
struct CompletionProbabilities: Encodable {
    let tokens: [String]
    let logProbabilities: [Double]
    let top: [[String: Double]]
    /// Where each token begins, in characters from the beginning of the answer.
    let offsets: [Int]

    private enum CodingKeys: String, CodingKey {
        case tokens
        case logProbabilities = "token_logprobs"
        case top = "top_logprobs"
        case offsets = "text_offset"
    }

    /// - Parameter offset: characters of the answer ahead of these steps.
    init(_ steps: [StepProbabilities], offset: Int) {
        tokens = steps.map(\.chosen.text)
        logProbabilities = steps.map(\.chosen.logProbability)
        top = steps.map { step in
            Dictionary(step.top.map { ($0.text, $0.logProbability) }, uniquingKeysWith: max)
        }
        var (place, offsets) = (offset, [Int]())
        for token in tokens {
            offsets.append(place)
            place += token.unicodeScalars.count
        }
        self.offsets = offsets
    }
}
