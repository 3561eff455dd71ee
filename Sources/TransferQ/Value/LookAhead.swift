/// How far and how often candidates are rolled out.
public struct LookAhead: Sendable {
    /// Most tokens of a rollout after its candidate, 1 to a million.
    public let horizon: Int
    /// N, rollouts per candidate, 1 to ``mostRollouts``.
    public let rollouts: Int
    public let sampling: Sampling

    init(from parameters: inout ParameterReader, rollouts standard: Int = 1) throws {
        horizon = try parameters.integer(
            "horizon", default: 16, in: 1...1_000_000, "most tokens of a rollout after its candidate")
        rollouts = try parameters.integer(
            "rollouts", default: standard, in: 1...Self.mostRollouts, "rollouts per candidate (N)")
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

    /// Most rollouts of one step, all candidates together; what a policy has no room for at once goes in waves.
    static let mostRollouts = 100_000

    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` when a step would take more than
    ///   ``mostRollouts``.
    func validate(candidates: Int) throws {
        guard candidates * rollouts <= Self.mostRollouts else {
            throw TransferQError.invalidParameter(
                name: "the number of rollouts of a step", value: "\(candidates * rollouts)",
                requirement: "at most \(Self.mostRollouts); lower k or rollouts")
        }
    }

    /// What rolling out `candidates` at once takes.
    func demand(candidates: Int, length: Int, maximumLength: Int) -> RolloutDemand {
        RolloutDemand(
            sequences: candidates * rollouts,
            tokensPerSequence: min(length, maximumLength) + min(horizon, maximumLength))
    }
}
