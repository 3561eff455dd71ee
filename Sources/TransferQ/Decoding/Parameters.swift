// How what methods are made of is read from parameters: the names, the defaults and the help of each.

extension Sampling {
    init(from parameters: inout ParameterReader) throws {
        let temperature = try parameters.number(
            "temperature", default: 1, "0 or a finite number of at least 0.001", "0 is greedy, 1 the policy itself"
        ) { $0 == 0 || $0 >= 1e-3 }
        let topK = try parameters.optionalInteger("top-k", in: 1...1_000_000_000, "keep the k most likely tokens")
        let topP = try parameters.number(
            "top-p", default: 1, "above 0 and at most 1", "keep the fewest tokens that hold this much probability"
        ) { $0 > 0 && $0 <= 1 }
        let minP = try parameters.number(
            "min-p", default: 0, "between 0 and 1", "keep tokens at least this fraction as likely as the first"
        ) { $0 >= 0 && $0 <= 1 }
        try self.init(temperature: temperature, topK: topK, topP: topP, minP: minP)
    }
}

extension LookAhead {
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
}

extension RolloutWeighting {
    init(from parameters: inout ParameterReader) throws {
        lookAhead = try LookAhead(from: &parameters, rollouts: 8)
        beta = try parameters.number(
            "beta", default: 1, "a finite number of at least 1e-9",
            "KL penalty that the policies are aligned with, in reward per nat"
        ) { $0 >= 1e-9 }
        clip = try parameters.optionalNumber(
            "clip", "a finite number above 0", "keep log-weights within this of their candidate's mean, nats"
        ) { $0 > 0 }
    }
}
