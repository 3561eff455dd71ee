/// How a step looks for its token: what may be left out, and at which risk.
///
/// Speed-ups are exact and on unless switched off; what is approximate is off unless asked for.
public struct SearchSettings: Sendable {
    /// Speed-ups that change no token.
    public enum SpeedUp: String, CaseIterable, Sendable {
        /// Candidates whose bounds exclude them get no value (theory.md section 7).
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

    enum Switch: String, CaseIterable, Sendable { case on, off }

    func isOn(_ speedUp: SpeedUp) -> Bool { !off.contains(speedUp) }

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
