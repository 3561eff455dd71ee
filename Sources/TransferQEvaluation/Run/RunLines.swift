import Foundation
public import TransferQ

/// One line of `answers.jsonl`: an answer and what it came to.
///
/// Which model, rewards and parameters made it stands in the folder's `specification.json` (``RunSpecification``), under the
/// method's label. All keys are always there; what is unknown is null.
public struct AnswerLine: Codable, Hashable, Sendable {
    /// ``AnswerKey``: what lines of the other files name this answer by.
    public var answer: String
    /// The prompt's place in its file, from 0 on.
    public var prompt: Int
    /// A hash of the conversation: 16 hexadecimal digits.
    public var promptHash: String
    /// The conversation that was answered.
    public var messages: [Message]
    /// The label of the method.
    public var method: String
    public var seed: UInt64
    public var response: String
    /// Of the response, without its end token.
    public var tokens: [Token]
    /// The token that ended the response; null where none did.
    public var endToken: Token?
    public var finish: FinishReason
    /// The guiding reward; null without one.
    public var reward: Double?
    /// What each part of a summed reward adds, by its name; empty for a reward without parts.
    public var rewardParts: [String: Double]
    /// Nats along the answer: what `klKind` says; null when the method has none.
    public var kl: Double?
    /// What `kl` is. Kinds must not be averaged with each other.
    public var klKind: KLKind
    /// `kl` over the number of chosen tokens, the end token included.
    public var klPerToken: Double?
    /// Share of chosen tokens, the end token included, that are not the reference's likeliest one there; 0 to 1, null for an
    /// answer without tokens.
    public var differs: Double?
    /// log π_ref(`tokens`) in nats, the end token left out.
    public var referenceLogProbability: Double?
    /// Words of the response, split by white space.
    public var length: Int
    /// Wall-clock seconds, the reading of the prompt included.
    public var seconds: Double
    /// Tokens that rollouts generated and the answer does not contain.
    public var rolloutTokens: Int
    /// Response tokens in the texts that the guiding reward read.
    public var scoredTokens: Int
    /// Times that policies were asked: once for every step of the answer and once for every batch of rollouts.
    public var modelCalls: Int
    /// What the answer may differ from the full search's by; empty for an exact run.
    public var approximations: [String]

    public init(
        _ place: AnswerPlace, messages: [Message], response: String, tokens: [Token], finish: FinishReason,
        answer: String
    ) {
        self.answer = answer
        (prompt, promptHash, method, seed) = (place.prompt, place.promptHash, place.method, place.seed)
        self.messages = messages
        self.response = response
        self.tokens = tokens
        self.finish = finish
        rewardParts = [:]
        klKind = .divergence
        length = response.split(whereSeparator: \.isWhitespace).count
        (seconds, rolloutTokens, scoredTokens, modelCalls) = (0, 0, 0, 0)
        approximations = []
    }

    /// The reference's perplexity of the response: exp(−log π_ref/tokens), at least 1; nil without tokens.
    public var referencePerplexity: Double? {
        guard let referenceLogProbability, !tokens.isEmpty else { return nil }
        return exp(-referenceLogProbability / Double(tokens.count))
    }

    /// What rewards see of the answer.
    public var completion: Completion {
        Completion(
            conversation: messages, text: response, tokens: tokens + (endToken.map { [$0] } ?? []),
            isFinished: finish == .stop)
    }

    public var place: AnswerPlace {
        AnswerPlace(prompt: prompt, promptHash: promptHash, method: method, seed: seed)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(answer, forKey: .answer)
        try container.encode(prompt, forKey: .prompt)
        try container.encode(promptHash, forKey: .promptHash)
        try container.encode(messages, forKey: .messages)
        try container.encode(method, forKey: .method)
        try container.encode(seed, forKey: .seed)
        try container.encode(response, forKey: .response)
        try container.encode(tokens, forKey: .tokens)
        try container.encode(endToken, forKey: .endToken)
        try container.encode(finish, forKey: .finish)
        try container.encode(reward, forKey: .reward)
        try container.encode(rewardParts, forKey: .rewardParts)
        try container.encode(kl, forKey: .kl)
        try container.encode(klKind, forKey: .klKind)
        try container.encode(klPerToken, forKey: .klPerToken)
        try container.encode(differs, forKey: .differs)
        try container.encode(referenceLogProbability, forKey: .referenceLogProbability)
        try container.encode(length, forKey: .length)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(rolloutTokens, forKey: .rolloutTokens)
        try container.encode(scoredTokens, forKey: .scoredTokens)
        try container.encode(modelCalls, forKey: .modelCalls)
        try container.encode(approximations, forKey: .approximations)
    }
}

/// What an answer of a run is to: no two of a run have the same.
public struct AnswerPlace: Hashable, Sendable {
    /// The prompt's place in its file, from 0 on.
    public let prompt: Int
    public let promptHash: String
    /// The label of the method.
    public let method: String
    public let seed: UInt64

    public init(prompt: Int, promptHash: String, method: String, seed: UInt64) {
        self.prompt = prompt
        self.promptHash = promptHash
        self.method = method
        self.seed = seed
    }
}

/// One line of `gold.jsonl` (a reward that guided nothing) or `metrics.jsonl` (a measure of an answer's text).
public struct ValueLine: Codable, Hashable, Sendable {
    /// The ``AnswerLine/answer`` that it is of.
    public var answer: String
    /// The gold reward's name in the specification; a metric's as ``MetricSpec/names`` has it.
    public var name: String
    /// Null where the answer has none, for example the coherence of an empty answer.
    public var value: Double?

    public init(answer: String, name: String, value: Double?) {
        self.answer = answer
        self.name = name
        self.value = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(answer, forKey: .answer)
        try container.encode(name, forKey: .name)
        try container.encode(value, forKey: .value)
    }
}

/// One line of `judgements.jsonl`: what a judge said of two answers to one prompt in one order. Every pair is judged in both.
public struct JudgementLine: Codable, Hashable, Sendable {
    /// The keys of the two answers: of the method that is judged, and of the one that it is judged against.
    public var a: String
    public var b: String
    /// Which one stood first.
    public var order: Order
    /// Points, 1 to 10; null where the reply held no two numbers.
    public var scoreA: Double?
    public var scoreB: Double?
    /// ``JudgeSpec/name`` of the judge.
    public var judge: String
    /// The judge's reply.
    public var raw: String

    public enum Order: String, Codable, CaseIterable, Sendable {
        case ab
        case ba
    }

    public init(
        a: String, b: String, order: Order, scoreA: Double?, scoreB: Double?, judge: String, raw: String
    ) {
        (self.a, self.b, self.order) = (a, b, order)
        (self.scoreA, self.scoreB) = (scoreA, scoreB)
        self.judge = judge
        self.raw = raw
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(a, forKey: .a)
        try container.encode(b, forKey: .b)
        try container.encode(order, forKey: .order)
        try container.encode(scoreA, forKey: .scoreA)
        try container.encode(scoreB, forKey: .scoreB)
        try container.encode(judge, forKey: .judge)
        try container.encode(raw, forKey: .raw)
    }
}
