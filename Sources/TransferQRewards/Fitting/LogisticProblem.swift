import Foundation

/// minimise (1/n) Σ log(1 + exp(−w·zᵢ)) + ½λ Σ w_j² over the penalised j: Bradley and Terry's model, with zᵢ the
/// difference of a pair's features, and logistic regression, with zᵢ the features times the label ±1.
///
/// Convex, and strictly so in the penalised weights; solved by Newton's method, each step by conjugate gradients.
public struct LogisticProblem: Sendable {
    private let rows: DenseMatrix
    private var width: Int { rows.width }
    private var count: Int { rows.count }
    /// λ > 0.
    var regularization: Double
    /// Whether the last feature is an intercept, which is not penalised.
    let hasIntercept: Bool

    /// - Precondition: the rows have one width, and there is at least one.
    public init(rows: [[Double]], regularization: Double, hasIntercept: Bool = false) {
        self.rows = DenseMatrix(rows)
        self.regularization = regularization
        self.hasIntercept = hasIntercept
    }

    /// The minimiser, to a gradient of at most `tolerance` in every weight.
    ///
    /// - Parameter start: a first guess; zero when nil.
    public func solve(from start: [Double]? = nil, tolerance: Double = 1e-10) -> [Double] {
        var weights = start ?? [Double](repeating: 0, count: width)
        var value = self.value(at: weights)
        for _ in 0..<100 {
            let (gradient, curvature) = derivatives(at: weights)
            let largest = gradient.reduce(0) { max($0, abs($1)) }
            if largest <= tolerance { break }
            // Solved as exactly as the distance to the minimum deserves: Newton's quadratic convergence stays.
            let step = newtonStep(gradient, curvature, accuracy: min(0.1, largest.squareRoot()))
            let slope = ConjugateGradients.dot(gradient, step)
            var length = 1.0
            while true {
                let trial = zip(weights, step).map { $0 - length * $1 }
                let trialValue = self.value(at: trial)
                if trialValue <= value - 1e-4 * length * slope || length < 1e-12 {
                    // Rounding ends the descent.
                    if trialValue > value { return weights }
                    weights = trial
                    value = trialValue
                    break
                }
                length /= 2
            }
            if length < 1e-12 { break }
        }
        return weights
    }

    /// Mean loss without the penalty: the cross-entropy in nats.
    public func loss(at weights: [Double]) -> Double {
        rows.times(weights).reduce(0) { $0 + Self.softplus(-$1) } / Double(count)
    }

    /// Share of rows on the right side; ties count half.
    public func accuracy(at weights: [Double]) -> Double {
        rows.times(weights).reduce(0) { $0 + ($1 > 0 ? 1 : $1 == 0 ? 0.5 : 0) } / Double(count)
    }

    private func value(at weights: [Double]) -> Double {
        let penalised = hasIntercept ? weights.dropLast() : weights[...]
        return loss(at: weights) + 0.5 * regularization * penalised.reduce(0) { $0 + $1 * $1 }
    }

    /// The gradient, and σ(m)σ(−m)/n of every row, of which the Hessian is made.
    private func derivatives(at weights: [Double]) -> (gradient: [Double], curvature: [Double]) {
        let margins = rows.times(weights)
        let slopes = margins.map { -Self.sigmoid(-$0) / Double(count) }
        let curvature = margins.map { Self.sigmoid($0) * Self.sigmoid(-$0) / Double(count) }
        return (adding(penaltyOf: weights, to: rows.transposedTimes(slopes)), curvature)
    }

    /// The solution of H·step = gradient, by conjugate gradients, up to `accuracy` of the gradient's length.
    private func newtonStep(_ gradient: [Double], _ curvature: [Double], accuracy: Double) -> [Double] {
        ConjugateGradients.solve(gradient, accuracy: accuracy) { direction in
            let bent = zip(rows.times(direction), curvature).map { $0 * $1 }
            return adding(penaltyOf: direction, to: rows.transposedTimes(bent))
        }
    }

    private func adding(penaltyOf weights: [Double], to vector: [Double]) -> [Double] {
        vector.indices.map { index in
            hasIntercept && index == width - 1 ? vector[index] : vector[index] + regularization * weights[index]
        }
    }

    static func sigmoid(_ value: Double) -> Double {
        value >= 0 ? 1 / (1 + exp(-value)) : exp(value) / (1 + exp(value))
    }

    private static func softplus(_ value: Double) -> Double {
        value > 0 ? value + log1p(exp(-value)) : log1p(exp(value))
    }
}
