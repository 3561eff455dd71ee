import TransferQ

/// The mean of a method over instances, at one setting.
public struct ExperimentPoint: Codable, Sendable {
    public let method: String
    /// The setting that was varied: α of a sweep, or the distance of the baseline's reward of a gap experiment.
    public let setting: Double
    public let expectedReward: Double
    /// Nats.
    public let klToReference: Double
    /// Best single response's reward minus E[r].
    public let gapToBest: Double
    public let gapToOptimal: Double
    public let instances: Int
}

/// Exact experiments: every number is solved, none is sampled.
public enum Experiments {
    /// Reward against KL: every method at every α.
    public static func sweep(_ instances: [TabularInstance], alphas: [Double]) throws -> [ExperimentPoint] {
        try points(instances, settings: alphas) { try $0.with(alpha: $1) }
    }

    /// Sub-optimality as the baseline's reward moves away from the target:
    /// r_BL = (1 − d)·r + d·r′ at distance d, where r′ is each instance's own baseline reward.
    public static func gap(_ instances: [TabularInstance], distances: [Double]) throws -> [ExperimentPoint] {
        return try points(instances, settings: distances) { instance, distance in
            let other = instance.baselineReward ?? instance.reward
            return try instance.with(
                baselineReward: zip(instance.reward, other).map { (1 - distance) * $0 + distance * $1 })
        }
    }

    private static func points(
        _ instances: [TabularInstance], settings: [Double],
        change: (TabularInstance, Double) throws -> TabularInstance
    ) throws -> [ExperimentPoint] {
        var points: [ExperimentPoint] = []
        for setting in settings {
            let solved = try instances.map { ExactSolver(try change($0, setting)).methods() }
            for name in ExactSolver.names {
                let results = solved.compactMap { $0[name] }
                guard !results.isEmpty else { continue }
                func mean(_ value: (ExactMethod) -> Double) -> Double {
                    results.reduce(0) { $0 + value($1) } / Double(results.count)
                }
                points.append(
                    ExperimentPoint(
                        method: name, setting: setting, expectedReward: mean { $0.expectedReward },
                        klToReference: mean { $0.klToReference }, gapToBest: mean { $0.gapToBest },
                        gapToOptimal: mean { $0.gapToOptimal }, instances: results.count))
            }
        }
        return points
    }
}
