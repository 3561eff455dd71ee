import Foundation

/// minimise (1/n) Σ log(1 + exp(−w·zᵢ)) + ½λ Σ w_j² over the penalised j: Bradley and Terry's model, with zᵢ the
/// difference of a pair's features, and logistic regression, with zᵢ the features times the label ±1.
///
/// Convex, and strictly so in the penalised weights; solved by Newton's method, each step by conjugate gradients.
public struct LogisticProblem: Sendable {
    /// Rows of `width` numbers, one after the other.
    let rows: [Double]
    let width: Int
    let count: Int
    /// λ > 0.
    var regularization: Double
    /// Whether the last feature is an intercept, which is not penalised.
    let hasIntercept: Bool

    /// - Precondition: the rows have one width, and there is at least one.
    public init(rows: [[Double]], regularization: Double, hasIntercept: Bool = false) {
        self.rows = Array(rows.joined())
        width = rows.first?.count ?? 0
        count = rows.count
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
            let slope = Self.dot(gradient, step)
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
        margins(weights).reduce(0) { $0 + Self.softplus(-$1) } / Double(count)
    }

    /// Share of rows on the right side; ties count half.
    public func accuracy(at weights: [Double]) -> Double {
        margins(weights).reduce(0) { $0 + ($1 > 0 ? 1 : $1 == 0 ? 0.5 : 0) } / Double(count)
    }

    private func value(at weights: [Double]) -> Double {
        let penalised = hasIntercept ? weights.dropLast() : weights[...]
        return loss(at: weights) + 0.5 * regularization * penalised.reduce(0) { $0 + $1 * $1 }
    }

    /// The gradient, and σ(m)σ(−m)/n of every row, of which the Hessian is made.
    private func derivatives(at weights: [Double]) -> (gradient: [Double], curvature: [Double]) {
        let margins = margins(weights)
        let slopes = margins.map { -Self.sigmoid(-$0) / Double(count) }
        let curvature = margins.map { Self.sigmoid($0) * Self.sigmoid(-$0) / Double(count) }
        return (adding(penaltyOf: weights, to: transposed(slopes)), curvature)
    }

    /// The solution of H·step = gradient, by conjugate gradients, up to `accuracy` of the gradient's length.
    private func newtonStep(_ gradient: [Double], _ curvature: [Double], accuracy: Double) -> [Double] {
        var step = [Double](repeating: 0, count: width)
        var residual = gradient
        var direction = gradient
        var squared = Self.dot(residual, residual)
        let target = accuracy * accuracy * squared
        for _ in 0..<(2 * width + 10) where squared > target {
            let bent = zip(margins(direction), curvature).map { $0 * $1 }
            let image = adding(penaltyOf: direction, to: transposed(bent))
            let length = squared / Self.dot(direction, image)
            guard length.isFinite else { break }
            for index in 0..<width {
                step[index] += length * direction[index]
                residual[index] -= length * image[index]
            }
            let next = Self.dot(residual, residual)
            for index in 0..<width { direction[index] = residual[index] + next / squared * direction[index] }
            squared = next
        }
        return step
    }

    private func adding(penaltyOf weights: [Double], to vector: [Double]) -> [Double] {
        vector.indices.map { index in
            hasIntercept && index == width - 1 ? vector[index] : vector[index] + regularization * weights[index]
        }
    }

    /// Z·w
    private func margins(_ weights: [Double]) -> [Double] {
        rows.withUnsafeBufferPointer { rows in
            weights.withUnsafeBufferPointer { weights in
                (0..<count).map { row in
                    let start = row * width
                    var sums = SIMD8<Double>.zero
                    var column = 0
                    while column + 8 <= width {
                        sums.addProduct(Self.load(rows, start + column), Self.load(weights, column))
                        column += 8
                    }
                    var sum = sums.sum()
                    while column < width {
                        sum += rows[start + column] * weights[column]
                        column += 1
                    }
                    return sum
                }
            }
        }
    }

    /// Zᵀ·v
    private func transposed(_ vector: [Double]) -> [Double] {
        var result = [Double](repeating: 0, count: width)
        rows.withUnsafeBufferPointer { rows in
            result.withUnsafeMutableBufferPointer { result in
                for row in 0..<count {
                    let (start, factor) = (row * width, vector[row])
                    for column in 0..<width { result[column] += factor * rows[start + column] }
                }
            }
        }
        return result
    }

    private static func load(_ values: UnsafeBufferPointer<Double>, _ index: Int) -> SIMD8<Double> {
        UnsafeRawPointer(values.baseAddress! + index).loadUnaligned(as: SIMD8<Double>.self)
    }

    private static func dot(_ left: [Double], _ right: [Double]) -> Double {
        zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
    }

    static func sigmoid(_ value: Double) -> Double {
        value >= 0 ? 1 / (1 + exp(-value)) : exp(value) / (1 + exp(value))
    }

    private static func softplus(_ value: Double) -> Double {
        value > 0 ? value + log1p(exp(-value)) : log1p(exp(value))
    }
}
