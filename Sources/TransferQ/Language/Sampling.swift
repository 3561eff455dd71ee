import Foundation

/// How plain decoding and rollouts pick a token from a policy's distribution.
///
/// Filters apply to the policy's own probabilities in the order top-k, top-p, min-p; the temperature then reshapes
/// what is left. Temperature 0 takes the most likely token.
public struct Sampling: Hashable, Sendable {
    /// ≥ 0; 0 is greedy, 1 the policy itself.
    public let temperature: Double
    /// Keep the k most likely tokens; nil keeps all.
    public let topK: Int?
    /// Keep the fewest most likely tokens whose probabilities reach this sum, in (0, 1]; 1 keeps all.
    public let topP: Double
    /// Keep tokens at least this fraction as likely as the most likely one, in [0, 1]; 0 keeps all.
    public let minP: Double

    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` outside the ranges above.
    public init(temperature: Double = 1, topK: Int? = nil, topP: Double = 1, minP: Double = 0) throws {
        func require(_ holds: Bool, _ name: String, _ value: Any, _ requirement: String) throws {
            guard holds else {
                throw TransferQError.invalidParameter(name: name, value: "\(value)", requirement: requirement)
            }
        }
        try require(
            temperature.isFinite && temperature >= 0 && (temperature == 0 || temperature >= 1e-3), "temperature",
            temperature, "0 or a finite number of at least 0.001")
        try require(topK.map { $0 >= 1 } ?? true, "top-k", topK ?? 0, "at least 1")
        try require(topP > 0 && topP <= 1, "top-p", topP, "above 0 and at most 1")
        try require(minP >= 0 && minP <= 1, "min-p", minP, "between 0 and 1")
        self.init(checkedTemperature: temperature, topK: topK, topP: topP, minP: minP)
    }

    private init(checkedTemperature temperature: Double, topK: Int?, topP: Double, minP: Double) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
    }

    public static let greedy = Sampling(checkedTemperature: 0, topK: nil, topP: 1, minP: 0)
    /// The policy's own distribution.
    public static let ancestral = Sampling(checkedTemperature: 1, topK: nil, topP: 1, minP: 0)

    public var isGreedy: Bool { temperature == 0 }
    public var isFiltered: Bool { topK != nil || topP < 1 || minP > 0 }

    /// The distribution that this sampling draws from, as log-probabilities that sum to one over the tokens kept.
    ///
    /// - Parameter candidates: most likely first, with the policy's log-probabilities: the whole vocabulary, or at
    ///   least `topK` of it.
    public func distribution(over candidates: [Candidate]) -> [Candidate] {
        guard let first = candidates.first else { return [] }
        if isGreedy { return [Candidate(token: first.token, logProbability: 0)] }
        var kept = candidates.prefix(topK ?? candidates.count)
        if topP < 1 {
            var cumulative = 0.0
            let end = kept.firstIndex { candidate in
                cumulative += exp(candidate.logProbability)
                return cumulative >= topP
            }
            if let end { kept = kept[...end] }
        }
        if minP > 0 {
            let least = first.logProbability + log(minP)
            kept = kept.prefix { $0.logProbability >= least }
        }
        let logits = LogSpace.logSoftmax(kept.map { $0.logProbability / temperature })
        return zip(kept, logits).map { Candidate(token: $0.token, logProbability: $1) }
    }

    /// Draws a token from `distribution`, a result of ``distribution(over:)``, by inverse transform of `uniform` in
    /// (0, 1). Returns an index; nil for an empty distribution, or one of impossible tokens.
    public static func draw(from distribution: [Candidate], uniform: Double) -> Int? {
        var cumulative = 0.0
        for (index, candidate) in distribution.enumerated() {
            cumulative += exp(candidate.logProbability)
            if cumulative > uniform { return index }
        }
        // Rounding left the sum a hair below `uniform`.
        return distribution.lastIndex { $0.logProbability > -.infinity }
    }

    /// Picks the next token of a rollout from a model's logits; nil when they are not numbers.
    public func choose(from row: LogitRow, uniform: @autoclosure () -> Double) -> Token? {
        if isGreedy { return row.top?.token }
        if !isFiltered { return row.sample(temperature: Float(temperature), uniform: uniform()) }
        guard row.logSumExp.isFinite else { return nil }
        // topK bounds what the other filters can see; without it they need the whole row.
        let distribution = distribution(over: row.candidates(count: topK ?? row.logits.count))
        return Self.draw(from: distribution, uniform: uniform()).map { distribution[$0].token }
    }
}
