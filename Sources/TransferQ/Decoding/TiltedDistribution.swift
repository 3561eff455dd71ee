import Foundation

/// π_α(z | s) ∝ π_tilt(z | s) · exp(Q(s, z) / α) over a candidate set (theory.md section 3; Transfer Q*, equation 6).
///
/// It maximises E[Q] − α·KL(π ‖ π_tilt). α → ∞ gives the tilt policy (renormalised over the candidates), α → 0 the
/// candidate of best value.
///
///     let tilted = try TiltedDistribution(logTilt: [-0.7, -0.7], values: [0.2, 0.9], alpha: 0.5)
///     let index = tilted.choose(tokens: [5, 9], noise: noise)
public struct TiltedDistribution: Sendable {
    /// log π_tilt(z | s) + (Q(s, z) − max Q) / α: the score whose argmax, with or without Gumbel noise, is the choice.
    /// Subtracting the best value changes no probability and keeps a small α from overflowing.
    public let scores: [Double]

    /// log π_α(z | s) in nats; sums to one over the candidates.
    public let logProbabilities: [Double]

    /// - Parameters:
    ///   - logTilt: log π_tilt of each candidate, in nats.
    ///   - values: Q of each candidate, in units of reward; −∞ for one that shall rank behind all others.
    ///   - alpha: strength of the pull to the tilt policy, in units of reward per nat; finite and above 0.
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)``.
    public init(logTilt: [Double], values: [Double], alpha: Double) throws {
        guard alpha.isFinite, alpha > 0 else {
            throw TransferQError.invalidParameter(
                name: "alpha", value: "\(alpha)", requirement: "a finite number above 0")
        }
        guard logTilt.count == values.count, !values.isEmpty else {
            throw TransferQError.invalidParameter(
                name: "values", value: "\(values.count) values",
                requirement: "one for each of \(logTilt.count) candidates, at least one")
        }
        guard values.allSatisfy({ $0 < .infinity }), logTilt.allSatisfy({ $0 < .infinity }),
            logTilt.contains(where: { $0 > -.infinity })
        else {
            throw TransferQError.invalidParameter(
                name: "values", value: "\(values)",
                requirement: "finite, or -inf for the last, with log-probabilities that are numbers and not all -inf")
        }
        scores = Self.scores(logTilt: logTilt, values: values, alpha: alpha)
        logProbabilities = LogSpace.logSoftmax(scores)
    }

    /// log π_tilt + (Q − max Q) / α, the best value being that of a candidate that the tilt policy holds possible, so that
    /// one score at least is finite. Where all those have the value −∞, they count as equally good.
    static func scores(logTilt: [Double], values: [Double], alpha: Double) -> [Double] {
        let best = zip(logTilt, values).reduce(-Double.infinity) { $1.0 > -.infinity ? max($0, $1.1) : $0 }
        guard best > -.infinity else { return logTilt }
        return zip(logTilt, values).map { $0 == -.infinity ? $0 : $0 + ($1 - best) / alpha }
    }

    public var probabilities: [Double] { logProbabilities.map { exp($0) } }

    /// KL(π_α ‖ π) in nats, for log π given on the candidates and normalised over the whole vocabulary.
    public func klDivergence(from logPolicy: [Double]) -> Double {
        LogSpace.klDivergence(logProbabilities, from: logPolicy)
    }

    /// Index of the largest score, the first of equal ones.
    public var mostLikely: Int { scores.firstIndexOfMaximum }

    /// Index of a draw from π_α by the Gumbel-max trick (theory.md section 7). The noise of a candidate depends on
    /// its token, not on its place in the list.
    public func choose(tokens: [Token], noise: Noise) -> Int {
        zip(scores, tokens).map { $0 + noise.derived(Int($1)).gumbel }.firstIndexOfMaximum
    }
}
