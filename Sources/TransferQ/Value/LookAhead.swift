/// How far and how often candidates are rolled out.
public struct LookAhead: Sendable {
    /// Most tokens of a rollout after its candidate, ≥ 1.
    public let horizon: Int
    /// N, rollouts per candidate, ≥ 1.
    public let rollouts: Int
    public let sampling: Sampling

    init(from parameters: inout ParameterReader, rollouts standard: Int = 1) throws {
        horizon = try parameters.integer(
            "horizon", default: 16, in: 1..., "most tokens of a rollout after its candidate")
        rollouts = try parameters.integer("rollouts", default: standard, in: 1..., "rollouts per candidate (N)")
        // Methods that weigh rollouts need draws from the baseline, however few.
        let isGreedy = rollouts == 1 && standard == 1
        let temperature = try parameters.number(
            "rollout-temperature", default: isGreedy ? 0 : 1, "0 (greedy) or a finite number of at least 0.001",
            standard == 1
                ? "temperature of the rollouts; when not given 0 for one rollout and 1 for several"
                : "temperature of the rollouts"
        ) { $0 == 0 || $0 >= 1e-3 }
        guard rollouts == 1 || temperature > 0 else {
            throw TransferQError.invalidParameter(
                name: "rollout-temperature", value: "0",
                requirement: "above 0 with \(rollouts) rollouts a candidate, because greedy rollouts are all alike")
        }
        sampling = try Sampling(temperature: temperature)
    }

    /// What rolling out `candidates` at once takes.
    func demand(candidates: Int, length: Int, maximumLength: Int) -> RolloutDemand {
        let (sequences, overflow) = candidates.multipliedReportingOverflow(by: rollouts)
        return RolloutDemand(
            sequences: overflow ? Int.max : sequences,
            tokensPerSequence: min(length, maximumLength) + min(horizon, maximumLength))
    }
}
