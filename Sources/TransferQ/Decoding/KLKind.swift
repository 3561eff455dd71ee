/// What a number of nats is that stands for KL(π_alg ‖ π_sft): four different things, which must not be compared or
/// averaged with each other.
public enum KLKind: String, Codable, CaseIterable, Sendable {
    /// The divergence of the distribution that the choice was drawn from: exact (docs/mathematics.md section 8).
    case divergence
    /// The largest divergence that the values of candidates which bounds excluded could make of it: the choice is the
    /// full search's, but their values, which the divergence depends on, are only known to lie in the reward's range.
    case boundOverSkippedValues
    /// An upper bound that holds for the method whatever the reward is: best-of-n's, or log k for one of k blocks.
    case boundOfMethod
    /// −log π_sft of the choices. An argmax is no draw: counted as a distribution, it is a point mass, whose divergence is
    /// this, and large where the same α with a draw would have cost little.
    case pointMass

    /// What a sum of both is; a bound on a part makes a bound of the sum.
    public func adding(_ other: KLKind) -> KLKind {
        let order = Self.allCases
        return order[max(order.firstIndex(of: self) ?? 0, order.firstIndex(of: other) ?? 0)]
    }
}
