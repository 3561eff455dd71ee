import Testing
import TransferQTheory

/// The synthetic experiments of indirect and soft transfer, over 200 random instances.
@Suite struct ExperimentTests {
    static func instances() throws -> [TabularInstance] {
        try (0..<200).map { try Verification.instance($0, seed: 1) }
    }

    @Test func gapsAreOrderedOnceTheRewardsDiffer() throws {
        let points = try Experiments.gap(Self.instances(), distances: [0, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
        func gap(_ name: String, _ distance: Double) throws -> Double {
            try #require(points.first { $0.method == name && $0.setting == distance }).gapToBest
        }
        for distance in [0, 0.1, 0.2, 0.4, 0.6, 0.8, 1] {
            let naive = try gap("transfer-q-naive", distance)
            let indirect = try gap("transfer-q-indirect", distance)
            let reference = try gap("reference", distance)
            #expect(naive < reference)
            // The correction makes up for any distance.
            let direct = try gap("transfer-q@reference", distance)
            #expect(abs(indirect - direct) < 1e-9)
            if distance == 0 { #expect(abs(indirect - naive) < 1e-9) }
            // At 0.1 the two are level: the uncorrected one came out better by 1e-5 of reward.
            if distance == 0.1 { #expect(abs(indirect - naive) < 1e-4) }
            if distance >= 0.2 { #expect(indirect < naive, "at \(distance)") }
        }
        let far = try gap("transfer-q-naive", 1) - gap("transfer-q-indirect", 1)
        #expect(far > 0.004)
    }

    @Test func softAtBetaLiesOnTheFrontier() throws {
        for instance in try Self.instances() {
            let soft = try #require(ExactSolver(try instance.with(alpha: instance.beta)).methods()["transfer-q-soft"])
            for alpha in [0.02, 0.1, 0.3, instance.beta, 1, 3] {
                for (name, method) in ExactSolver(try instance.with(alpha: alpha)).methods() {
                    let isBetter =
                        method.expectedReward > soft.expectedReward + 1e-9
                        && method.klToReference <= soft.klToReference
                    #expect(!isBetter, "\(name) at \(alpha)")
                }
            }
        }
    }
}
