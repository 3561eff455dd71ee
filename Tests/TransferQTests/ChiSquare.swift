import Foundation

/// Pearson's test of counts against expected probabilities.
enum ChiSquare {
    /// Whether the counts are compatible with the probabilities at a false alarm rate of about one in a million.
    ///
    /// Cells that expect fewer than five draws are pooled. The critical value is Wilson and Hilferty's.
    static func accepts(counts: [Int], probabilities: [Double]) -> Bool {
        let total = Double(counts.reduce(0, +))
        var statistic = 0.0
        var cells = 0
        var pooledCount = 0.0
        var pooledExpected = 0.0
        for (count, probability) in zip(counts, probabilities) {
            let expected = probability * total
            if expected < 5 {
                pooledCount += Double(count)
                pooledExpected += expected
            } else {
                statistic += (Double(count) - expected) * (Double(count) - expected) / expected
                cells += 1
            }
        }
        if pooledExpected > 0 {
            statistic += (pooledCount - pooledExpected) * (pooledCount - pooledExpected) / max(pooledExpected, 1e-9)
            cells += 1
        } else if pooledCount > 0 {
            return false
        }
        let freedom = Double(max(1, cells - 1))
        let z = 4.75
        let spread = 2 / (9 * freedom)
        return statistic <= freedom * pow(1 - spread + z * spread.squareRoot(), 3)
    }
}
