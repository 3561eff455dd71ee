import Foundation
import TransferQ

/// How far an identity of docs/mathematics.md is from holding on one instance; zero up to rounding.
public struct IdentityCheck: Codable, Sendable {
    public let name: String
    /// Largest absolute difference of the two sides.
    public let error: Double
}

extension ExactSolver {
    /// All identities of sections 4 to 6 and 8 that need no particular α.
    public func identities() throws -> [IdentityCheck] {
        let instance = instance
        let reward = instance.reward
        let direct = values(of: optimalRows, reward: reward)
        let atBeta = ExactSolver(try instance.with(alpha: instance.beta))
        let soft = atBeta.methods()["transfer-q-soft"]
        let optimal = method(rows: optimalRows)
        var checks = [
            IdentityCheck(
                name: "soft values at alpha = beta reproduce rho_r^beta",
                error: Self.distance(soft?.logResponses ?? [], wholeResponseTilt())),
            IdentityCheck(
                name: "tilting whole responses equals tilting tokens",
                error: Self.distance(wholeResponseTilt(), optimal.logResponses)),
            IdentityCheck(
                name: "one rollout of rho_r^beta gives the exact soft value", error: softSpread()),
            IdentityCheck(
                name: "indirect equals direct when r_BL = r",
                error: Self.difference(correctedValues(baselineReward: reward), direct)),
            IdentityCheck(
                name: "KL of responses is the sum of the steps' KL", error: chainRuleError(methods())),
            IdentityCheck(name: "performance difference", error: performanceDifferenceError(direct)),
        ]
        if let baselineReward = instance.baselineReward {
            checks.append(
                IdentityCheck(
                    name: "corrected rollouts of any aligned baseline give Q of rho_r",
                    error: Self.difference(correctedValues(baselineReward: baselineReward), direct)))
            checks.append(
                IdentityCheck(
                    name: "the implicit baseline reward gives the same correction",
                    error: Self.difference(implicitlyCorrectedValues(), direct)))
        }
        let far = ExactSolver(try instance.with(alpha: 1e12)).methods()
        let reference = method(rows: instance.logReference)
        checks.append(
            IdentityCheck(
                name: "transfer-q goes to the baseline as alpha grows",
                error: Self.distance(far["transfer-q"]?.logResponses ?? [], optimal.logResponses)))
        for name in ["transfer-q@reference", "transfer-q-indirect", "transfer-q-soft", "cd", "args"] {
            guard let method = far[name] else { continue }
            checks.append(
                IdentityCheck(
                    name: "\(name) goes to the reference as alpha grows",
                    error: Self.distance(method.logResponses, reference.logResponses)))
        }
        return checks
    }

    /// ρ_sft(y) · exp(r(y)/β) / Z over whole responses, from the definition.
    private func wholeResponseTilt() -> [Double] {
        LogSpace.logSoftmax(zip(logReferenceResponses, instance.reward).map { $0 + $1 / instance.beta })
    }

    /// Largest difference, over all rollouts, between the one-rollout estimate from ρ_r^β and the exact soft value:
    /// r + β·log(ρ_sft(τ|s,z) / ρ_r(τ|s,z)) against Q_soft(s, z).
    private func softSpread() -> Double {
        let tree = instance.tree
        let exact = Self.softValues(instance, reward: instance.reward)
        let reference = tree.forward(logRows: instance.logReference)
        let optimal = tree.forward(logRows: optimalRows)
        var worst = 0.0
        for (leaf, response) in tree.responses.enumerated() {
            // Walk down the response; at each step the rest of it is one possible rollout.
            var node = 0
            for token in response {
                let child = tree.children[node][Int(token)]
                let (logReference, logOptimal): (Double, Double)
                switch child {
                case .node(let next): (logReference, logOptimal) = (reference.nodes[next], optimal.nodes[next])
                case .leaf: (logReference, logOptimal) = (reference.leaves[leaf], optimal.leaves[leaf])
                }
                let ratio = (reference.leaves[leaf] - logReference) - (optimal.leaves[leaf] - logOptimal)
                let estimate = instance.reward[leaf] + instance.beta * ratio
                if reference.leaves[leaf] > -.infinity {
                    worst = max(worst, abs(estimate - exact[node][Int(token)]))
                }
                if case .node(let next) = child { node = next }
            }
        }
        return worst
    }

    /// Section 4 with w(τ) ∝ exp(r/β)·ρ_sft(τ|s,z)/ρ_BL(τ|s,z): no baseline reward, only log-probabilities.
    private func implicitlyCorrectedValues() -> [[Double]] {
        let baseline = instance.tree.forward(logRows: baselineRows).leaves
        let logWeights = instance.reward.indices.map { leaf in
            // What the two policies gave to the beginning cancels in the ratio of means.
            instance.reward[leaf] / instance.beta + logReferenceResponses[leaf] - baseline[leaf]
        }
        return weightedValues(rows: baselineRows, logWeights: logWeights)
    }

    private func chainRuleError(_ methods: [String: ExactMethod]) -> Double {
        methods.values.reduce(0) { worst, method in
            guard let rows = method.logRows else { return worst }
            let reached = instance.tree.forward(logRows: rows).nodes
            let sum = rows.indices.reduce(0) {
                $0 + exp(reached[$1]) * LogSpace.klDivergence(rows[$1], from: instance.logReference[$1])
            }
            return max(worst, abs(sum - method.klToReference))
        }
    }

    /// V(ρ_alg) − V(ρ_BL) = Σ_t E_{s_t~ρ_alg}[E_{π_alg}Q − E_{π_BL}Q], for ρ_alg the reference.
    private func performanceDifferenceError(_ values: [[Double]]) -> Double {
        let rows = instance.logReference
        let reached = instance.tree.forward(logRows: rows).nodes
        var sum = 0.0
        for node in rows.indices {
            let own = zip(rows[node], values[node]).reduce(0) { $0 + exp($1.0) * $1.1 }
            let other = zip(optimalRows[node], values[node]).reduce(0) { $0 + exp($1.0) * $1.1 }
            sum += exp(reached[node]) * (own - other)
        }
        return abs(method(rows: rows).expectedReward - method(rows: optimalRows).expectedReward - sum)
    }

    /// Total variation distance.
    private static func distance(_ one: [Double], _ other: [Double]) -> Double {
        guard one.count == other.count else { return .infinity }
        return zip(one, other).reduce(0) { $0 + abs(exp($1.0) - exp($1.1)) } / 2
    }

    private static func difference(_ one: [[Double]], _ other: [[Double]]) -> Double {
        zip(one.joined(), other.joined()).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }
}
