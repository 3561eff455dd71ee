import Foundation

/// A mean with its 95 % interval by the bootstrap, which assumes no distribution: clusters are drawn again with replacement.
///
/// The quantiles are those of the resampled means, taken a little further out than 2.5 and 97.5 % so that few clusters get no
/// interval that is too narrow: at Φ(−√(n/(n−1))·t) for Student's t with n−1 degrees of freedom (Hesterberg, "What Teachers
/// Should Know About the Bootstrap", 2015, section 5.3).
public struct BootstrapInterval: Hashable, Codable, Sendable {
    public let mean: Double
    /// Ends of the interval; nil for fewer than two clusters.
    public let low: Double?
    public let high: Double?
    /// Independent ones that the mean is over.
    public let clusters: Int

    /// Whether there is an interval and zero lies outside of it.
    public var excludesZero: Bool { (low ?? 0) > 0 || (high ?? 0) < 0 }

    /// Of values that belong together: each cluster's mean counts once, as in ``MeanInterval``.
    ///
    /// - Parameters:
    ///   - clusters: what each value belongs to, as many as there are values.
    ///   - resamples: at least 100; 2,000 settle an end to about a fiftieth of the interval's width.
    ///   - seed: of the draws; the same seed gives the same interval.
    public init<Cluster: Hashable>(
        _ values: [Double], clusters: [Cluster], resamples: Int = 2000, seed: UInt64 = 0
    ) {
        self.init(clusterMeans: values.means(by: clusters), resamples: resamples, seed: seed)
    }

    /// Of independent values.
    public init(_ values: [Double], resamples: Int = 2000, seed: UInt64 = 0) {
        self.init(clusterMeans: values, resamples: resamples, seed: seed)
    }

    private init(clusterMeans values: [Double], resamples: Int, seed: UInt64) {
        let count = values.count
        clusters = count
        mean = values.reduce(0, +) / Double(count)
        guard count >= 2 else {
            (low, high) = (nil, nil)
            return
        }
        let (resamples, noise) = (Swift.max(100, resamples), Noise(seed: seed))
        let means = (0..<resamples).map { resample in
            let noise = noise.derived(resample)
            let sum = (0..<count).reduce(0.0) { sum, draw in
                sum + values[Int(noise.derived(draw).uniform * Double(count))]
            }
            return sum / Double(count)
        }.sorted()
        let freedom = Double(count - 1)
        let z = (Double(count) / freedom).squareRoot() * StudentT.quantile(0.025, freedom: freedom)
        let tail = erfc(-z / 2.0.squareRoot()) / 2
        func quantile(_ probability: Double) -> Double {
            let place = probability * Double(resamples - 1)
            let lower = Int(place)
            let upper = Swift.min(lower + 1, resamples - 1)
            return means[lower] + (place - Double(lower)) * (means[upper] - means[lower])
        }
        (low, high) = (quantile(tail), quantile(1 - tail))
    }
}

extension [Double] {
    /// The mean of each cluster, in the order of the clusters' first values.
    ///
    /// - Parameter clusters: what each value belongs to, as many as there are values.
    package func means<Cluster: Hashable>(by clusters: [Cluster]) -> [Double] {
        precondition(count == clusters.count, "each value needs its cluster")
        var order: [Cluster: Int] = [:]
        var sums: [(sum: Double, count: Double)] = []
        for (value, cluster) in zip(self, clusters) {
            let place = order[cluster, default: sums.count]
            order[cluster] = place
            if place == sums.count { sums.append((0, 0)) }
            sums[place].sum += value
            sums[place].count += 1
        }
        return sums.map { $0.sum / $0.count }
    }
}

extension MeanInterval {
    /// Of a figure of a whole set of answers, such as a share of different words, by leaving out one cluster at a time (the
    /// jackknife) and Student's t.
    ///
    /// - Parameters:
    ///   - value: of all clusters.
    ///   - leftOut: of all clusters but one, for each.
    public init(_ value: Double, leavingOut leftOut: [Double]) {
        let count = Double(leftOut.count)
        guard leftOut.count >= 2 else {
            self.init(mean: value, half: nil, clusters: leftOut.count)
            return
        }
        let mean = leftOut.reduce(0, +) / count
        let variance = (count - 1) / count * leftOut.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        self.init(
            mean: value, half: StudentT.quantile(0.975, freedom: count - 1) * variance.squareRoot(),
            clusters: leftOut.count)
    }
}
