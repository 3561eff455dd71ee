/// How far and how often candidates are rolled out.
public struct LookAhead: Sendable {
    /// Most tokens of a rollout after its candidate, 1 to a million.
    public let horizon: Int
    /// N, rollouts per candidate, 1 to ``mostRollouts``.
    public let rollouts: Int
    public let sampling: Sampling

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
}
