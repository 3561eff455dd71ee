import Foundation

/// Leaves a step to the tilted policy where that is sure enough of itself (approximate).
struct Gate: Sendable {
    /// Candidates of less entropy than this, in nats, get no value; nil for any.
    let entropy: Double?
    /// Nor where the first one has at least this probability; nil for any.
    let probability: Double?

    func leaves(_ proposal: Proposal) -> Bool {
        let logs = LogSpace.logSoftmax(proposal.logPolicy)
        if let least = entropy, LogSpace.entropy(logs) < least { return true }
        guard let most = probability, let first = proposal.logPolicy.max() else { return false }
        return exp(first) >= most
    }
}
