import Foundation
import TransferQ

/// A mean with its 95 % interval, by Student's t.
struct MeanInterval: Encodable {
    let mean: Double
    let low: Double
    let high: Double

    init(_ values: [Double]) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / max(1, count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(1, count - 1)
        let half = Self.quantile(freedom: count - 1) * (variance / max(1, count)).squareRoot()
        self.mean = mean
        low = mean - half
        high = mean + half
    }

    /// The 97.5 % quantile of Student's t, by its expansion around the normal's; within 1 % from 4 degrees on.
    static func quantile(freedom: Double) -> Double {
        let (z, n) = (1.959964, max(1, freedom))
        let third = (pow(z, 3) + z) / 4
        let fifth = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96
        let seventh = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / 384
        return z + third / n + fifth / (n * n) + seventh / (n * n * n)
    }

    var text: String { "\(mean.fixed(3)) (\(low.fixed(3)) to \(high.fixed(3)))" }
}
