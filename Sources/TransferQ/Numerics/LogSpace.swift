import Foundation

/// Sums and normalisations of log-weights, in nats. The only place where the project exponentiates to normalise.
public enum LogSpace {
    /// log Σ exp(values). Returns −∞ for an empty collection or one that holds only −∞, and NaN when one is NaN.
    public static func logSumExp(_ values: some Collection<Double>) -> Double {
        guard let top = values.max(), top != -.infinity else { return -.infinity }
        guard top != .infinity else { return values.contains(where: \.isNaN) ? .nan : .infinity }
        var sum = 0.0
        for value in values { sum += exp(value - top) }
        return top + log(sum)
    }

    /// values − logSumExp(values): log-probabilities of the distribution proportional to exp(values). Where all are −∞ there
    /// is none, and they stay.
    public static func logSoftmax(_ values: [Double]) -> [Double] {
        let normaliser = logSumExp(values)
        guard normaliser != -.infinity else { return values }
        return values.map { $0 - normaliser }
    }

    /// (Σw)² / Σw² for w = exp(`logWeights`): between 1 and their number; 0 without weights above 0.
    public static func effectiveSampleSize(_ logWeights: [Double]) -> Double {
        let sum = logSumExp(logWeights)
        guard sum != -.infinity else { return 0 }
        return exp(2 * sum - logSumExp(logWeights.map { 2 * $0 }))
    }

    /// −Σ p·log p in nats of p = exp(`logP`).
    public static func entropy(_ logP: [Double]) -> Double {
        logP.reduce(0) { $1 > -.infinity ? $0 - exp($1) * $1 : $0 }
    }

    /// KL(p ‖ q) = Σ p·(log p − log q) in nats, where p = exp(`logP`).
    ///
    /// Terms with p = 0 count zero. `logQ` need not sum to one over the given support (it is a full distribution
    /// seen on p's support), so the result is the exact divergence of a truncated p from the whole q.
    public static func klDivergence(_ logP: [Double], from logQ: [Double]) -> Double {
        precondition(logP.count == logQ.count, "both distributions need the same support")
        var sum = 0.0
        for (p, q) in zip(logP, logQ) where p > -.infinity { sum += exp(p) * (p - q) }
        // Rounding can leave a divergence of zero a few ulps below zero.
        return max(0, sum)
    }
}
