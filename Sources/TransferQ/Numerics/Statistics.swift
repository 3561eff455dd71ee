import Foundation

/// Student's t distribution.
public enum StudentT {
    /// P(T > `t`).
    ///
    /// - Parameter freedom: degrees of freedom, above 0.
    public static func upperTail(_ t: Double, freedom: Double) -> Double {
        guard t.isFinite else { return t > 0 ? 0 : 1 }
        let tail = BetaDistribution.cumulative(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
        return t > 0 ? tail : 1 - tail
    }

    /// The t that T stays below with `probability`: 12.706 for 0.975 and one degree of freedom.
    ///
    /// - Parameters:
    ///   - probability: between 0 and 1; infinite at the ends.
    ///   - freedom: degrees of freedom, above 0.
    public static func quantile(_ probability: Double, freedom: Double) -> Double {
        guard probability < 1 else { return .infinity }
        guard probability > 0 else { return -.infinity }
        let tail = min(probability, 1 - probability)
        if tail == 0.5 { return 0 }
        // T² = freedom·(1 − x)/x for x from the beta distribution.
        var high = 1.0
        while upperTail(high, freedom: freedom) > tail, high < .greatestFiniteMagnitude / 4 { high *= 2 }
        let t = bisect(from: high == 1 ? 0 : high / 2, to: high) { upperTail($0, freedom: freedom) > tail }
        return probability < 0.5 ? -t : t
    }
}

/// The beta distribution.
enum BetaDistribution {
    /// P(X ≤ `x`), the regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), evaluated
    /// by Lentz's method. a, b > 0.
    static func cumulative(_ x: Double, _ a: Double, _ b: Double) -> Double {
        if x <= 0 { return 0 }
        if x >= 1 { return 1 }
        if x > (a + 1) / (a + b + 2) { return 1 - cumulative(1 - x, b, a) }
        // In two parts, as the compiler takes seconds to find the types of the whole.
        let logBeta: Double = lgamma(a + b) - lgamma(a) - lgamma(b)
        let front = exp(logBeta + a * log(x) + b * log1p(-x)) / a
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

    /// The x that X stays below with `probability`, strictly between 0 and 1.
    static func quantile(_ probability: Double, _ a: Double, _ b: Double) -> Double {
        bisect(from: 0, to: 1) { cumulative($0, a, b) < probability }
    }
}

/// Where `isBelow` turns from true to false, to the last bits.
private func bisect(from low: Double, to high: Double, _ isBelow: (Double) -> Bool) -> Double {
    var (low, high) = (low, high)
    while true {
        let middle = low + (high - low) / 2
        guard middle > low, middle < high else { return middle }
        if isBelow(middle) { low = middle } else { high = middle }
    }
}
