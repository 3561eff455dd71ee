/// A mean with its 95 % interval, by Student's t: the only implementation for all that is reported.
///
/// What is not independent counts once: answers to one prompt under several seeds are a cluster, each cluster gives its
/// mean, and the interval has one degree of freedom less than there are clusters.
public struct MeanInterval: Hashable, Codable, Sendable {
    /// Mean over the clusters' means; not a number without values.
    public let mean: Double
    /// Ends of the interval; nil for fewer than two clusters, which tell nothing of their spread.
    public let low: Double?
    public let high: Double?
    /// Independent ones that the mean is over.
    public let clusters: Int

    /// Of independent values.
    public init(_ values: [Double]) { self.init(clusterMeans: values) }

    /// Of values that belong together.
    ///
    /// - Parameter clusters: what each value belongs to, for example its prompt; as many as there are values.
    public init<Cluster: Hashable>(_ values: [Double], clusters: [Cluster]) {
        self.init(clusterMeans: values.means(by: clusters))
    }

    private init(clusterMeans values: [Double]) {
        clusters = values.count
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        self.mean = mean
        guard values.count >= 2 else {
            (low, high) = (nil, nil)
            return
        }
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
        let half = StudentT.quantile(0.975, freedom: count - 1) * (variance / count).squareRoot()
        (low, high) = (mean - half, mean + half)
    }

    /// - Parameter half: of the interval's width; nil without one.
    init(mean: Double, half: Double?, clusters: Int) {
        self.mean = mean
        (low, high) = (half.map { mean - $0 }, half.map { mean + $0 })
        self.clusters = clusters
    }

    /// Of shares between 0 and 1 that belong together, such as wins with ties counted half: the interval of ``ShareInterval``
    /// (Clopper and Pearson) with the sum of the clusters' means as hits. It stays within 0 and 1, is there for one cluster
    /// and where all are won, and is wider than need be where shares lie between 0 and 1.
    ///
    /// - Precondition: shares lie between 0 and 1, and there are as many clusters as shares.
    public init<Cluster: Hashable>(shares: [Double], clusters: [Cluster]) {
        let means = shares.means(by: clusters)
        precondition(means.allSatisfy((0...1).contains), "shares lie between 0 and 1")
        self.clusters = means.count
        let (hits, count) = (means.reduce(0, +), Double(means.count))
        mean = hits / count
        guard !means.isEmpty else {
            (low, high) = (nil, nil)
            return
        }
        let tail = hits == 0 || hits == count ? 0.05 : 0.025
        low = hits == 0 ? 0 : BetaDistribution.quantile(tail, hits, count - hits + 1)
        high = hits == count ? 1 : BetaDistribution.quantile(1 - tail, hits + 1, count - hits)
    }

    private init(mean: Double, low: Double?, high: Double?, clusters: Int) {
        self.mean = mean
        self.low = low
        self.high = high
        self.clusters = clusters
    }

    /// The part of it where the truth can lie.
    public func bounded(to range: ClosedRange<Double>) -> MeanInterval {
        func within(_ end: Double) -> Double { min(max(end, range.lowerBound), range.upperBound) }
        return MeanInterval(mean: mean, low: low.map(within), high: high.map(within), clusters: clusters)
    }

    /// Whether there is an interval and zero lies outside of it.
    public var excludesZero: Bool { (low ?? 0) > 0 || (high ?? 0) < 0 }

    /// For people: `0.512 (0.401 to 0.623)`.
    public var text: String {
        guard let low, let high else { return clusters == 0 ? "–" : "\(mean.fixed(3)) (one: no interval)" }
        return "\(mean.fixed(3)) (\(low.fixed(3)) to \(high.fixed(3)))"
    }
}

/// How often something happened, with the 95 % interval of its probability (Clopper and Pearson).
///
/// When it happened never, or always, the interval has one end only, which then gets all of the 5 %: 0 of 7 is at most
/// 35 %.
public struct ShareInterval: Hashable, Codable, Sendable {
    public let hits: Int
    public let count: Int
    /// Between 0 and 1, as is `high`.
    public let low: Double
    public let high: Double

    /// - Precondition: 0 ≤ `hits` ≤ `count`. Without trials nothing is known: 0 to 1.
    public init(_ hits: Int, of count: Int) {
        precondition(hits >= 0 && hits <= count, "a share has at most as many hits as trials")
        self.hits = hits
        self.count = count
        let (k, n) = (Double(hits), Double(count))
        let isOneSided = hits == 0 || hits == count
        let tail = isOneSided ? 0.05 : 0.025
        low = hits == 0 ? 0 : BetaDistribution.quantile(tail, k, n - k + 1)
        high = hits == count ? 1 : BetaDistribution.quantile(1 - tail, k + 1, n - k)
    }

    /// For people: `95 %: at most 35 %`, `95 %: 2 to 45 %`.
    public var text: String {
        func percent(_ share: Double) -> String { (100 * share).fixed(share < 0.01 || share > 0.99 ? 1 : 0) }
        if hits == 0 { return "95 %: at most \(percent(high)) %" }
        if hits == count { return "95 %: at least \(percent(low)) %" }
        return "95 %: \(percent(low)) to \(percent(high)) %"
    }
}
