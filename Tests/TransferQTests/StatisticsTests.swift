import Foundation
import Testing
import TransferQ

@Suite struct StatisticsTests {
    /// From SciPy 1.17, scipy.stats.t.ppf.
    @Test(arguments: [
        (0.975, 1.0, 12.706204736174694), (0.975, 2, 4.302652729749462), (0.975, 3, 3.1824463052837078),
        (0.975, 4, 2.7764451051977934), (0.975, 9, 2.262157162798205), (0.975, 29, 2.045229642132703),
        (0.975, 39, 2.022690920036761), (0.975, 1000, 1.9623390808264083), (0.95, 1, 6.313751514675037),
        (0.995, 5, 4.032142983555228), (0.025, 3, -3.1824463052837086), (0.6, 2.5, 0.2814595127485477),
        (0.9999, 1, 3183.098757118502),
    ])
    func quantilesOfStudentsT(probability: Double, freedom: Double, expected: Double) {
        let t = StudentT.quantile(probability, freedom: freedom)
        #expect(abs(t - expected) < 1e-6 * max(1, abs(expected)))
        #expect(abs(StudentT.upperTail(t, freedom: freedom) - (1 - probability)) < 1e-9)
    }

    @Test func endsAndMiddleOfStudentsT() {
        #expect(StudentT.quantile(0.5, freedom: 3) == 0)
        #expect(StudentT.quantile(1, freedom: 3) == .infinity && StudentT.quantile(0, freedom: 3) == -.infinity)
    }

    @Test func sharesStayBetweenZeroAndOne() throws {
        let plain = MeanInterval(shares: [1, 0, 1, 1, 0], clusters: [0, 1, 2, 3, 4])
        let share = ShareInterval(3, of: 5)
        #expect(plain.low == share.low && plain.high == share.high && abs(plain.mean - 0.6) < 1e-12)
        let all = MeanInterval(shares: [1, 1, 1, 1], clusters: [0, 0, 1, 2])
        #expect(all.clusters == 3 && all.high == 1 && all.low == ShareInterval(3, of: 3).low)
        #expect(MeanInterval(shares: [], clusters: [Int]()).low == nil)
        // Wins, ties and losses of two seeds a prompt; the truth is 0.62.
        var hits = 0
        for trial in 0..<2000 {
            let noise = Noise(seed: 77).derived(trial)
            let outcomes = (0..<50).map { index -> Double in
                // Half of what decides belongs to the prompt.
                let uniform = index.isMultiple(of: 4) ? noise.derived(index / 2) : noise.derived(1000 + index)
                return uniform.uniform < 0.5 ? 1 : uniform.uniform < 0.74 ? 0.5 : 0
            }
            let interval = MeanInterval(shares: outcomes, clusters: (0..<50).map { $0 / 2 })
            let (low, high) = (try #require(interval.low), try #require(interval.high))
            #expect(low >= 0 && high <= 1)
            if low <= 0.62, 0.62 <= high { hits += 1 }
        }
        #expect(hits >= 1900)
        let wide = MeanInterval([0, 1, 1]).bounded(to: 0...1)
        #expect(wide.low == 0 && wide.high == 1)
    }

    @Test func intervalsOfFewValuesAreWide() throws {
        // Mean 1, standard error 1.
        let two = MeanInterval([0, 2])
        #expect(abs(try #require(two.high) - 1 - 12.706204736) < 1e-6)
        #expect(abs(1 - (try #require(two.low)) - 12.706204736) < 1e-6)
        #expect(two.mean == 1 && two.clusters == 2)
        let one = MeanInterval([3])
        #expect(one.mean == 3 && one.low == nil && one.high == nil && one.text == "3.000 (one: no interval)")
        #expect(MeanInterval([]).mean.isNaN && MeanInterval([]).text == "–")
        #expect(MeanInterval([1, 2, 3, 4]).text == "2.500 (0.446 to 4.554)")
    }

    /// Three seeds of a prompt that say the same tell no more than one.
    @Test func seedsOfOnePromptCountOnce() throws {
        let prompts = [0.3, 1.1, -0.4, 2.0, 0.9]
        let once = MeanInterval(prompts)
        let seeds = (0..<3).flatMap { _ in prompts }
        let clusters = (0..<3).flatMap { _ in ["a", "b", "c", "d", "e"] }
        let thrice = MeanInterval(seeds, clusters: clusters)
        #expect(thrice.clusters == 5 && abs(thrice.mean - once.mean) < 1e-12)
        #expect(abs(try #require(thrice.high) - (try #require(once.high))) < 1e-12)
        #expect(try #require(MeanInterval(seeds).high) < (try #require(thrice.high)) - 0.2)
        // A prompt counts once, however many of its seeds are there.
        let uneven = MeanInterval([1, 1, 1, 4], clusters: [0, 0, 0, 1])
        #expect(uneven.mean == 2.5)
    }

    /// 95 % of the intervals hold what is true, of normal values in clusters of three; without clusters far fewer do.
    @Test func clusteredIntervalsHoldWhatTheySay() throws {
        var (clustered, naive) = (0, 0)
        for trial in 0..<400 {
            let noise = Noise(seed: 5).derived(trial)
            func normal(_ noise: Noise) -> Double { (0..<12).reduce(-6) { $0 + noise.derived($1).uniform } }
            let prompts = (0..<24).map { $0 / 3 }
            let values = prompts.enumerated().map { seed, prompt in
                normal(noise.derived(prompt)) + 0.3 * normal(noise.derived(100 + seed))
            }
            func holds(_ interval: MeanInterval) throws -> Bool {
                try #require(interval.low) <= 0 && (try #require(interval.high)) >= 0
            }
            clustered += try holds(MeanInterval(values, clusters: prompts)) ? 1 : 0
            naive += try holds(MeanInterval(values)) ? 1 : 0
        }
        #expect(clustered >= 366 && clustered <= 394, "\(clustered) of 400")
        #expect(naive < 320, "\(naive) of 400")
    }

    /// From SciPy 1.17, scipy.stats.beta.ppf.
    @Test func sharesHaveTheirIntervals() {
        for (hits, count, low, high) in [
            (1, 20, 0.0012650894979498038, 0.24873276277202777), (3, 10, 0.06673951117773447, 0.6524528500599973),
            (9, 10, 0.5549838829718047, 0.9974714214555382), (50, 200, 0.19160716962258742, 0.3159628333298691),
        ] {
            let share = ShareInterval(hits, of: count)
            #expect(abs(share.low - low) < 1e-9 && abs(share.high - high) < 1e-9)
        }
        // No failure in seven says little: 0.65⁷ is 5 %.
        #expect(abs(ShareInterval(0, of: 7).high - 0.3481636551311609) < 1e-9)
        #expect(ShareInterval(0, of: 7).text == "95 %: at most 35 %")
        #expect(ShareInterval(7, of: 7).text == "95 %: at least 65 %")
        #expect(ShareInterval(1, of: 20).text == "95 %: 0.1 to 25 %")
        #expect(ShareInterval(0, of: 0).low == 0 && ShareInterval(0, of: 0).high == 1)
    }
}
