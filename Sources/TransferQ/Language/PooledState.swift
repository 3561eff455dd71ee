/// Which weights read which prompt: equal sources give equal hidden states for equal response tokens.
public struct StateSource: Hashable, Sendable {
    /// Tells weights (and an adapter on them) from others within this process.
    public let weights: String
    public let prompt: [Token]

    public init(weights: String, prompt: [Token]) {
        self.weights = weights
        self.prompt = prompt
    }
}

/// A model's final hidden states over a response, end tokens left out: what a learned head reads.
public struct PooledState: Hashable, Sendable {
    public var source: StateSource
    /// At the last token of the response, or of the prompt when the response is empty. As wide as the model.
    public var last: [Float]
    /// Mean over the tokens of the response; `last` when it is empty.
    public var mean: [Float]

    public init(source: StateSource, last: [Float], mean: [Float]) {
        self.source = source
        self.last = last
        self.mean = mean
    }
}
