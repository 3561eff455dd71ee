import Foundation

/// A polynomial fitted to points by least squares.
public struct PolynomialFit: Sendable {
    /// Of the powers of x, from the constant on.
    public let coefficients: [Double]

    /// Nil when the points have no more different x than `degree`, or hold what is no finite number.
    public init?(_ points: [(x: Double, y: Double)], degree: Int) {
        guard degree >= 0, Set(points.map(\.x)).count > degree, points.allSatisfy({ $0.x.isFinite && $0.y.isFinite })
        else { return nil }
        // Powers of numbers of at most 1 keep the sums of one size.
        let scale = max(points.reduce(0) { max($0, abs($1.x)) }, .leastNormalMagnitude)
        let size = degree + 1
        var rows = [[Double]](repeating: [Double](repeating: 0, count: size + 1), count: size)
        for point in points {
            let powers = (0..<size).map { pow(point.x / scale, Double($0)) }
            for row in 0..<size {
                for column in 0..<size { rows[row][column] += powers[row] * powers[column] }
                rows[row][size] += powers[row] * point.y
            }
        }
        guard let solution = Self.solve(rows) else { return nil }
        coefficients = solution.enumerated().map { $1 / pow(scale, Double($0)) }
    }

    /// Gaussian elimination, the largest pivot first; nil for a singular system.
    private static func solve(_ system: [[Double]]) -> [Double]? {
        var rows = system
        let size = rows.count
        for column in 0..<size {
            guard let best = (column..<size).max(by: { abs(rows[$0][column]) < abs(rows[$1][column]) }),
                rows[best][column] != 0
            else { return nil }
            rows.swapAt(column, best)
            for row in 0..<size where row != column {
                let factor = rows[row][column] / rows[column][column]
                for entry in column...size { rows[row][entry] -= factor * rows[column][entry] }
            }
        }
        return (0..<size).map { rows[$0][size] / rows[$0][$0] }
    }
}

/// How an answer's seconds grow with its tokens: seconds(t) = a + b·t + c·t², fitted by least squares.
public struct QuadraticGrowth: Encodable, Sendable {
    /// a, seconds.
    public let constant: Double
    /// b, seconds a token.
    public let linear: Double
    /// c, seconds a squared token.
    public let quadratic: Double
    /// c·n² / seconds(n) of all n tokens.
    public let quadraticShare: Double

    /// - Parameter seconds: from the beginning of an answer to the end of its first token, its second, …; nil for fewer
    ///   than three, or when they took no time.
    public init?(seconds: [Double]) {
        guard let fit = PolynomialFit(seconds.enumerated().map { (Double($0 + 1), $1) }, degree: 2),
            let total = seconds.last, total > 0
        else { return nil }
        constant = fit.coefficients[0]
        linear = fit.coefficients[1]
        quadratic = fit.coefficients[2]
        quadraticShare = quadratic * pow(Double(seconds.count), 2) / total
    }

    /// Seconds until each token of an answer whose every token takes the median of what it took over the rounds, so that
    /// a machine that is slow for a while in one round bends nothing.
    ///
    /// - Parameter rounds: at least one; each the seconds until each token, of the same number of tokens.
    public static func typicalAnswer(of rounds: [[Double]]) -> [Double] {
        var elapsed = 0.0
        return rounds[0].indices.map { token in
            elapsed += median(rounds.map { token == 0 ? $0[0] : $0[token] - $0[token - 1] })
            return elapsed
        }
    }
}
