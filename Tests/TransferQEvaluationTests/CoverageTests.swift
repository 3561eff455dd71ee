import Foundation
import Testing
import TransferQ

/// 95 % intervals hold the truth in 93 to 97 % of 2,000 simulated data sets.
@Suite struct CoverageTests {
    private func normal(_ noise: Noise) -> Double {
        let (radius, angle) = (noise.derived(0).uniform, noise.derived(1).uniform)
        return (-2 * log(radius)).squareRoot() * cos(2 * .pi * angle)
    }

    /// The share of data sets whose interval holds `truth`.
    private func coverage(
        of truth: Double, sets: Int = 2000, interval: (Noise) -> (low: Double?, high: Double?)
    ) -> Double {
        let hits = (0..<sets).count { set in
            let (low, high) = interval(Noise(seed: 11).derived(set))
            return (low ?? .infinity) <= truth && truth <= (high ?? -.infinity)
        }
        return Double(hits) / Double(sets)
    }

    /// Values in clusters of 1 to 4, which differ by cluster and within; the truth is 1.
    private func clustered(_ noise: Noise, clusters: Int) -> (values: [Double], clusters: [Int]) {
        var (values, names): ([Double], [Int]) = ([], [])
        for cluster in 0..<clusters {
            let noise = noise.derived(cluster)
            let centre = 1 + normal(noise.derived(0))
            for member in 0..<(1 + Int(noise.derived(1).uniform * 4)) {
                values.append(centre + 0.4 * normal(noise.derived(2 + member)))
                names.append(cluster)
            }
        }
        return (values, names)
    }

    @Test func studentsT() {
        for count in [5, 40] {
            let share = coverage(of: 1) { noise in
                let interval = MeanInterval((0..<count).map { 1 + normal(noise.derived($0)) })
                return (interval.low, interval.high)
            }
            #expect((0.93...0.97).contains(share), "\(count): \(share)")
        }
    }

    @Test func studentsTOfClusters() {
        let share = coverage(of: 1) { noise in
            let (values, clusters) = clustered(noise, clusters: 30)
            let interval = MeanInterval(values, clusters: clusters)
            return (interval.low, interval.high)
        }
        #expect((0.93...0.97).contains(share), "\(share)")
    }

    @Test func bootstrapOfClusters() {
        for clusters in [12, 40] {
            let share = coverage(of: 1) { noise in
                let (values, names) = clustered(noise, clusters: clusters)
                let interval = BootstrapInterval(values, clusters: names, resamples: 500)
                return (interval.low, interval.high)
            }
            #expect((0.93...0.97).contains(share), "\(clusters): \(share)")
        }
    }

    /// Differences of rewards are skewed where few prompts gain much.
    @Test func bootstrapOfSkewedValues() {
        let share = coverage(of: 1) { noise in
            let values = (0..<60).map { -log(noise.derived($0).uniform) }
            let interval = BootstrapInterval(values, resamples: 500)
            return (interval.low, interval.high)
        }
        #expect((0.925...0.97).contains(share), "\(share)")
    }

    @Test func jackknife() {
        // Of a mean it is Student's t itself.
        let values = [0.3, 1.1, -0.4, 2.0, 0.9]
        let mean = MeanInterval(values)
        let leftOut = values.indices.map { place in
            values.enumerated().filter { $0.offset != place }.reduce(0) { $0 + $1.element } / 4
        }
        let own = MeanInterval(mean.mean, leavingOut: leftOut)
        #expect(abs((own.low ?? 0) - (mean.low ?? 1)) < 1e-12 && abs((own.high ?? 0) - (mean.high ?? 1)) < 1e-12)
        #expect(own.clusters == 5)
    }

    @Test func bootstrapIsTheSameAgain() {
        let values = (0..<20).map { normal(Noise(seed: 3).derived($0)) }
        let interval = BootstrapInterval(values)
        #expect(interval == BootstrapInterval(values) && interval != BootstrapInterval(values, seed: 1))
        #expect(interval.mean == MeanInterval(values).mean && interval.clusters == 20)
        #expect(BootstrapInterval([1.0]).low == nil && BootstrapInterval([2, 2, 2]).high == 2)
    }
}
