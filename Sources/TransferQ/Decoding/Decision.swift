/// A candidate as the method judged it.
public struct ScoredCandidate: Sendable {
    /// Its tokens: one, or a block.
    public var tokens: [Token]
    /// log π_sft(z | s), nats.
    public var logProbability: Double
    /// Q̂(s, z), in units of reward; nil for a method without values, a candidate that the search left out, and one that is
    /// impossible (``ValueEstimate/impossible(rollouts:)``).
    public var value: Double?
    /// What the choice compares; see ``TiltedDistribution/scores``. −∞ for an impossible candidate.
    public var score: Double
    /// Probability that the method gave it, among the candidates whose values are known; 0 for one that the search left
    /// out. Sums to one over a decision unless the list was cut for display.
    public var probability: Double
    public var rollouts: [ScoredRollout]
    /// (Σw)² / Σw² of the rollouts' weights, between 1 and N; N for a plain mean, nil without rollouts.
    public var effectiveSampleSize: Double? = nil

    /// Standard deviation of the rollouts' rewards; nil for fewer than two.
    public var rewardSpread: Double? {
        guard rollouts.count > 1 else { return nil }
        let mean = rollouts.reduce(0) { $0 + $1.reward } / Double(rollouts.count)
        let squares = rollouts.reduce(0) { $0 + ($1.reward - mean) * ($1.reward - mean) }
        return (squares / Double(rollouts.count - 1)).squareRoot()
    }
}

/// What a method chose, and why.
public struct Decision: Sendable {
    /// One token or more; an end token only as the last.
    public var tokens: [Token]
    /// The candidates looked at, most likely under the tilted policy first.
    public var candidates: [ScoredCandidate]
    /// KL(the distribution that the choice was drawn from ‖ π_sft) at this state, nats, or what `klKind` says instead. Nil
    /// when the method has no closed form for it.
    public var kl: Double?
    public var klKind = KLKind.divergence
    /// The α that tilted this step, in reward per nat; infinite where a KL budget allowed the reference alone, nil for a
    /// method that tilts nothing.
    public var alpha: Double? = nil
    /// Probability, under the policy that proposed them, of all tokens outside the candidate set.
    public var outsideProbability: Double? = nil
    /// How the candidates were searched; nil for a method that does not search.
    public var search: SearchReport? = nil
    public var usage: Usage
}
