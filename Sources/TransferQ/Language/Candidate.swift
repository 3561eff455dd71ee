/// A possible next token.
public struct Candidate: Hashable, Sendable {
    public var token: Token

    /// log π(token | prompt, response so far) in nats, normalised over the whole vocabulary; ≤ 0.
    public var logProbability: Double

    public init(token: Token, logProbability: Double) {
        self.token = token
        self.logProbability = logProbability
    }
}
