import Foundation

/// π_α(z | s) ∝ π_tilt(z | s) · exp(Q(s, z) / α) over a candidate set (docs/mathematics.md section 3; Transfer Q*, equation 6): the
/// only place that tilts.
///
/// It maximises E[Q] − α·KL(π ‖ π_tilt). α → ∞ gives the tilt policy (renormalised over the candidates), α → 0 the
/// candidate of best value.
///
///     let tilted = try TiltedDistribution(logTilt: [-0.7, -0.7], values: [0.2, 0.9], alpha: 0.5)
///     let index = tilted.choose(tokens: [5, 9], noise: noise)
///
/// Inside the module a value may also be bounded only, or unknown. Probabilities are then those of the candidates whose
/// values are known, and ``contenders(among:)`` tells which of the others could still be chosen.
public struct TiltedDistribution: Sendable {
    /// log π_tilt of each candidate, nats; with Gumbel noise where the best score shall be a draw.
    private let logTilt: [Double]
    private(set) var values: [CandidateValue]
    /// In units of reward per nat.
    let alpha: Double
    /// What is taken off every value, so that a small α does not overflow. −∞ where every value is −∞: then they count as
    /// equally good.
    private let origin: Double

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
        self.init(logTilt: logTilt, values: values.map(CandidateValue.known), alpha: alpha)
    }

    /// - Parameters:
    ///   - logTilt: as many as there are `values`.
    ///   - origin: what is taken off every value; when nil the best known value of a candidate that the tilt policy holds
    ///     possible, so that one score at least is finite.
    init(logTilt: [Double], values: [CandidateValue], alpha: Double, origin: Double? = nil) {
        self.logTilt = logTilt
        self.values = values
        self.alpha = alpha
        self.origin =
            origin
            ?? zip(logTilt, values).reduce(-Double.infinity) { best, candidate in
                guard candidate.0 > -.infinity, let value = candidate.1.value else { return best }
                return max(best, value)
            }
    }

    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` where scores, differences of values in
    ///   `range` over `alpha`, may be no finite numbers. An end of the range that is infinite may stay so.
    static func check(alpha: Double, range: ClosedRange<Double>) throws {
        guard range.lowerBound.isFinite, range.upperBound.isFinite,
            !((range.upperBound - range.lowerBound) / alpha).isFinite
        else { return }
        throw TransferQError.invalidParameter(
            name: "alpha", value: "\(alpha)",
            requirement: "so large that the range of the reward, \(range.lowerBound)...\(range.upperBound), divided by "
                + "it is a finite number")
    }

    // MARK: Scores

    /// log π_tilt + (Q − origin)/α of a candidate if its value is `value`.
    private func score(_ index: Int, at value: Double) -> Double {
        guard origin > -.infinity, logTilt[index] > -.infinity else { return logTilt[index] }
        return logTilt[index] + (value - origin) / alpha
    }

    /// The score of a candidate whose value is known.
    func score(of index: Int) -> Double? { values[index].value.map { score(index, at: $0) } }

    /// log π_tilt(z | s) + (Q(s, z) − max Q) / α: the score whose argmax, with or without Gumbel noise, is the choice.
    /// Subtracting the best value changes no probability and keeps a small α from overflowing. log π_tilt for a candidate
    /// whose value is not known.
    public var scores: [Double] { values.indices.map { score(of: $0) ?? logTilt[$0] } }

    /// log π_α(z | s) in nats; sums to one over the candidates whose values are known, and is −∞ for the others.
    public var logProbabilities: [Double] {
        LogSpace.logSoftmax(values.indices.map { score(of: $0) ?? -.infinity })
    }

    public var probabilities: [Double] { logProbabilities.map { exp($0) } }

    // MARK: Divergence

    /// KL(π_α ‖ π) in nats, for log π given on the candidates and normalised over the whole vocabulary.
    public func klDivergence(from logPolicy: [Double]) -> Double {
        LogSpace.klDivergence(logProbabilities, from: logPolicy)
    }

    /// The largest KL(π_α ‖ π) in nats over all values within the candidates' bounds, which must be finite above. Takes
    /// time in proportion to 2 to the number of values that are not known.
    ///
    /// In the probability of any one candidate, the rest keeping its proportions, KL is convex; so the largest is at a
    /// corner, and all corners are looked at.
    func largestKLDivergence(from logPolicy: [Double]) -> Double {
        let open = values.indices.filter { values[$0].value == nil }
        var corner = values
        return (0..<(1 << open.count)).reduce(0.0) { largest, number in
            for (place, index) in open.enumerated() {
                corner[index] = .known(number >> place & 1 == 1 ? values[index].high : values[index].low)
            }
            let tilted = TiltedDistribution(logTilt: logTilt, values: corner, alpha: alpha)
            return max(largest, tilted.klDivergence(from: logPolicy))
        }
    }

    // MARK: Choice

    /// Index of the largest score, the first of equal ones.
    public var mostLikely: Int { scores.firstIndexOfMaximum }

    /// Index of a draw from π_α by the Gumbel-max trick (docs/mathematics.md section 7). The noise of a candidate depends on
    /// its token, not on its place in the list.
    public func choose(tokens: [Token], noise: Noise) -> Int {
        zip(scores, tokens).map { $0 + noise.derived(Int($1)).gumbel }.firstIndexOfMaximum
    }

    /// The best of candidates whose values are known, the first of equal ones; nil without any. Those of score −∞ rank last:
    /// impossible ones as if they were worth the same, and behind them what the tilted policy rules out.
    func best(among indices: [Int]) -> Int? {
        var best: (index: Int, score: Double)?
        for index in indices {
            guard let score = score(of: index), score > -.infinity else { continue }
            if best.map({ score > $0.score }) ?? true { best = (index, score) }
        }
        return best?.index ?? likeliest(among: indices.filter { values[$0].value != nil })
    }

    /// The one that wins at equal values, the first of equal ones; nil without any.
    func likeliest(among indices: [Int]) -> Int? {
        indices.reduce(nil as Int?) { best, index in
            best.map { logTilt[index] > logTilt[$0] ? index : $0 } ?? index
        }
    }

    /// Those of `indices` that none of them is certain to beat; all where none is known to be possible. The others have
    /// lost, whatever their values are (docs/mathematics.md section 7).
    func contenders(among indices: [Int]) -> [Int] {
        var sure = (index: 0, score: -Double.infinity)
        for index in indices where values[index].low > -.infinity {
            let score = score(index, at: values[index].low)
            if score > sure.score { sure = (index, score) }
        }
        guard sure.score > -.infinity else { return indices }
        return indices.filter { index in
            let high = values[index].high
            let most = high < .infinity ? score(index, at: high) : .infinity
            return most > sure.score || (most == sure.score && index <= sure.index) || index == sure.index
        }
    }

    /// The value above which a candidate beats `rival` at the value `value`.
    func valueToBeat(_ rival: Int, at value: Double, by index: Int) -> Double {
        value + alpha * (logTilt[rival] - logTilt[index])
    }

    /// Takes a candidate to be worth `value`, when that is not known.
    mutating func assume(_ value: Double?, of index: Int) {
        guard let value, values[index].value == nil else { return }
        values[index] = .known(value)
    }
}
