/// What the weighing methods add to a look-ahead.
struct RolloutWeighting: Sendable {
    let lookAhead: LookAhead
    /// KL penalty that the policies are aligned with, in reward per nat.
    let beta: Double
    /// Finite log-weights are kept within ±this of their candidate's mean; nil leaves them alone.
    let clip: Double?

    /// reward/β, nats.
    ///
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` where that is no finite number.
    func logTilt(of reward: Double) throws -> Double {
        let tilt = reward / beta
        guard tilt.isFinite else {
            throw TransferQError.invalidParameter(
                name: "beta", value: "\(beta)",
                requirement: "so large that a reward of \(reward) divided by it is a finite number")
        }
        return tilt
    }

    /// Said when the rollouts are no draws from the baseline.
    var warnings: [String] {
        guard lookAhead.sampling != .ancestral else { return [] }
        return ["rollouts at another temperature than 1 are no draws from the baseline: the weights are off"]
    }
}
