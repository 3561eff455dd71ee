import TransferQ

/// The result of checking docs/mathematics.md's inequalities and identities on many instances.
public struct Verification: Codable, Sendable {
    /// One inequality over all instances.
    public struct Inequality: Codable, Sendable {
        public var name: String
        public var checked = 0
        public var tightestSlack = Double.infinity
        public var meanSlack = 0.0
        /// Seeds on which it failed by more than the tolerance.
        public var violations: [UInt64] = []
    }

    /// One identity over all instances.
    public struct Identity: Codable, Sendable {
        public var name: String
        public var checked = 0
        public var largestError = 0.0
        public var violations: [UInt64] = []
    }

    public internal(set) var instances = 0
    public internal(set) var inequalities: [Inequality] = []
    public internal(set) var identities: [Identity] = []
    /// Rounding that counts as equality.
    public static let tolerance = 1e-9

    public var checks: Int { inequalities.reduce(0) { $0 + $1.checked } + identities.reduce(0) { $0 + $1.checked } }
    public var violations: Int {
        inequalities.reduce(0) { $0 + $1.violations.count } + identities.reduce(0) { $0 + $1.violations.count }
    }

    public init() {}

    /// The shape of the `index`-th random instance of a series: sizes 2 to 4 by 2 to 4, with and without an end token.
    public static func instance(_ index: Int, seed: UInt64) throws -> TabularInstance {
        let own = seed &+ UInt64(index)
        let noise = Noise(seed: own).derived(-7)
        return try TabularInstance.random(
            vocabularySize: 2 + Int(noise.derived(0).uniform * 3), maximumLength: 2 + Int(noise.derived(1).uniform * 3),
            endToken: noise.derived(2).uniform < 0.7 ? 0 : nil, seed: own)
    }

    /// Checks one instance; `seed` names it in the list of violations.
    public mutating func add(_ instance: TabularInstance, seed: UInt64) throws {
        instances += 1
        let solver = ExactSolver(instance)
        for (name, checks) in solver.bounds(of: solver.methods()).sorted(by: { $0.key < $1.key }) {
            for check in checks { record(check, name: "\(name): \(check.quantity)", seed: seed) }
        }
        for check in solver.premises() { record(check, name: check.quantity, seed: seed) }
        for identity in try solver.identities() { record(identity, seed: seed) }
    }

    private mutating func record(_ check: BoundCheck, name: String, seed: UInt64) {
        let index = inequalities.firstIndex { $0.name == name } ?? inequalities.endIndex
        if index == inequalities.endIndex { inequalities.append(Inequality(name: name)) }
        inequalities[index].checked += 1
        inequalities[index].tightestSlack = min(inequalities[index].tightestSlack, check.slack)
        inequalities[index].meanSlack +=
            (check.slack - inequalities[index].meanSlack) / Double(inequalities[index].checked)
        if !(check.slack >= -Self.tolerance) { inequalities[index].violations.append(seed) }
    }

    private mutating func record(_ check: IdentityCheck, seed: UInt64) {
        let index = identities.firstIndex { $0.name == check.name } ?? identities.endIndex
        if index == identities.endIndex { identities.append(Identity(name: check.name)) }
        identities[index].checked += 1
        identities[index].largestError = max(identities[index].largestError, check.error)
        if !(check.error <= Self.tolerance) { identities[index].violations.append(seed) }
    }
}
