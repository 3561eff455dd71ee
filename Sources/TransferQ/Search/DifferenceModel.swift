import Foundation

/// A predictive distribution of what a candidate's value surprises by (``ValueScale``): Student's t, from a prior and what
/// was seen in this answer.
///
/// What was seen are candidates that were evaluated for their probabilities and the anchor's value, never for their own,
/// so they are a fair sample of what such candidates come to.
public struct DifferenceModel: Sendable {
    /// Candidates that the prior counts for.
    static let priorCount = 12.0
    /// What the variance is more when the anchor's value is guessed by that of the last choice: from
    /// there it is 0.55 spreads away (measured as ``ValueScale`` says).
    static let guessing = 1.5

    private(set) var count = 0.0
    private var sum = 0.0
    private var squares = 0.0

    public init() {}

    public mutating func add(_ surprise: Double) {
        count += 1
        sum += surprise
        squares += surprise * surprise
    }

    /// P(surprise > `need`).
    ///
    /// - Parameters:
    ///   - spread: standard deviation of the prior; without one the first candidates must tell.
    ///   - isGuess: whether the anchor's value is not known.
    public func chance(above need: Double, spread: Double?, isGuess: Bool = false) -> Double {
        let weight = spread == nil ? 0 : Self.priorCount
        let total = count + weight
        guard total >= Self.priorCount else { return 1 }
        let scale = spread ?? 0
        let mean = sum / total
        let variance = max(0, (squares + weight * scale * scale) / total - mean * mean) * (isGuess ? Self.guessing : 1)
        guard variance > 0 else { return need < mean ? 1 : need > mean ? 0 : 0.5 }
        return StudentT.upperTail((need - mean) / (variance * (1 + 1 / total)).squareRoot(), freedom: total - 1)
    }
}

/// Student's t distribution.
public enum StudentT {
    /// P(T > t).
    public static func upperTail(_ t: Double, freedom: Double) -> Double {
        guard t.isFinite else { return t > 0 ? 0 : 1 }
        let tail = regularizedBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
        return t > 0 ? tail : 1 - tail
    }

    /// I_x(a, b), by its continued fraction (DLMF 8.17.22), evaluated by Lentz's method.
    static func regularizedBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
        if x <= 0 { return 0 }
        if x >= 1 { return 1 }
        if x > (a + 1) / (a + b + 2) { return 1 - regularizedBeta(1 - x, b, a) }
        let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
        let tiny = 1e-300
        func kept(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
        var c = 1.0
        var d = 1 / kept(1 - (a + b) * x / (a + 1))
        var fraction = d
        for m in 1...500 {
            let m = Double(m)
            for numerator in [
                m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
            ] {
                d = 1 / kept(1 + numerator * d)
                c = kept(1 + numerator / c)
                fraction *= c * d
            }
            if abs(c * d - 1) < 1e-14 { break }
        }
        return front * fraction
    }
}
