/// How a step looks for its token: what may be left out, and at which risk.
///
/// Speed-ups are exact and on unless switched off; what is approximate is off unless asked for.
public struct SearchSettings: Sendable {
    /// Speed-ups that change no token.
    public enum SpeedUp: String, CaseIterable, Sendable {
        /// Candidates whose bounds exclude them get no value (docs/mathematics.md section 7).
        case prune
        /// A greedy rollout of the chosen candidate goes on in the next step.
        case reuse
        /// Candidates of coming steps share a batch with those of this one.
        case lookAhead = "look-ahead"
    }

    let off: Set<SpeedUp>
    /// Rollouts that a batch is filled up to by looking ahead; nil for the task's.
    let width: Int?
    /// The reward's range where it states none; a value outside makes the step be redone in full.
    let range: ClosedRange<Double>?
    /// Candidates are left out while their chances to win come to less than 1 − confidence a step, on average over the
    /// answer; nil leaves out none.
    let confidence: Double?
    /// Share of the candidates left out that are evaluated all the same, to check.
    let audit: Double
    /// A step whose candidates have less entropy, nats, takes the tilted policy's own choice.
    let gateEntropy: Double?
    /// A step whose first candidate has at least this probability takes the tilted policy's own choice.
    let gateProbability: Double?
    /// Successive halving of the candidates by the rewards of unfinished rollouts.
    let isRace: Bool

    init(from parameters: inout ParameterReader) throws {
        off = Set(
            try parameters.list("without", "exact speed-ups to switch off: prune, reuse, look-ahead") as [SpeedUp])
        width = try parameters.optionalInteger(
            "width", in: 1...10_000,
            "rollouts that a batch is filled up to with those of coming steps; when not given, as was measured")
        range = try parameters.range(
            "reward-range", "the range of a reward that states none; a value outside makes its step be redone in full")
        confidence = try parameters.optionalNumber(
            "confidence", "at least 0.5 and below 1",
            "approximate: leave out candidates whose chances to win come to less than 1 - confidence a step"
        ) { $0 >= 0.5 && $0 < 1 }
        audit = try parameters.number(
            "audit", default: 0.01, "between 0 and 1",
            "share of the candidates that confidence leaves out and that are evaluated all the same, to check"
        ) { $0 >= 0 && $0 <= 1 }
        gateEntropy = try parameters.optionalNumber(
            "gate-entropy", "a finite number of nats of at least 0",
            "approximate: no rollouts where the candidates' entropy is below this"
        ) { $0 >= 0 }
        gateProbability = try parameters.optionalNumber(
            "gate-probability", "above 0 and at most 1",
            "approximate: no rollouts where the first candidate is at least this likely"
        ) { $0 > 0 && $0 <= 1 }
        isRace = try parameters.flag("race", "approximate: halve the candidates as rollouts grow")
    }

    func isOn(_ speedUp: SpeedUp) -> Bool { !off.contains(speedUp) }

    /// What the search may leave out.
    func rule(_ calibration: ConfidenceCalibration) -> SkipRule {
        SkipRule(
            gate: Gate(entropy: gateEntropy, probability: gateProbability),
            bounds: BoundRule(prunes: isOn(.prune), statedRange: range),
            confidence: confidence.map { ConfidenceRule(confidence: $0, audit: audit, calibration: calibration) },
            race: isRace ? RaceRule() : nil)
    }

    /// How the search fills batches.
    ///
    /// - Parameter width: of the task, for when none was given.
    func batching(width: Int) -> SearchBatching {
        SearchBatching(
            reuses: isOn(.reuse), notesCandidates: isOn(.lookAhead), looksAhead: isOn(.lookAhead),
            width: self.width ?? width)
    }

    /// The approximations in use, as a user asks for them.
    var approximations: [String] {
        var names: [String] = []
        if let confidence { names.append("confidence \(confidence)") }
        if let gateEntropy { names.append("gate-entropy \(gateEntropy)") }
        if let gateProbability { names.append("gate-probability \(gateProbability)") }
        if isRace { names.append("race") }
        return names
    }
}
