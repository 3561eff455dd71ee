import Foundation
import TransferQ

/// One method on one instance, exactly.
public struct ExactMethod: Sendable {
    /// log ρ(y | x) of every response, nats, in the tree's order.
    public let logResponses: [Double]
    /// log π(z | s), one row a node; nil for a method that is no token-level policy.
    public let logRows: [[Double]]?
    /// V(ρ) = E[r], in units of reward.
    public let expectedReward: Double
    /// KL(ρ ‖ ρ_sft), nats.
    public let klToReference: Double
    /// Best single response's reward minus E[r].
    public let gapToBest: Double
    /// V(ρ_r^β) − E[r]; may be negative, as ρ_r^β also minds its KL.
    public let gapToOptimal: Double
}

/// Exact distributions of all methods on an instance: dynamic programming over the tree, in log space.
public struct ExactSolver: Sendable {
    public let instance: TabularInstance
    /// log-probabilities of all responses under the reference.
    let logReferenceResponses: [Double]
    /// ρ_r^β, the target of alignment, as rows of log-probabilities, one a node.
    public let optimalRows: [[Double]]
    /// ρ_{r_BL}^β, what an actual baseline is; ρ_r^β without a baseline reward.
    public let baselineRows: [[Double]]
    private let optimalReward: Double

    private var tree: ResponseTree { instance.tree }

    public init(_ instance: TabularInstance) {
        self.instance = instance
        logReferenceResponses = instance.tree.forward(logRows: instance.logReference).leaves
        optimalRows = Self.aligned(instance, to: instance.reward)
        baselineRows = instance.baselineReward.map { Self.aligned(instance, to: $0) } ?? optimalRows
        let leaves = instance.tree.forward(logRows: optimalRows).leaves
        optimalReward = zip(leaves, instance.reward).reduce(0) { $0 + exp($1.0) * $1.1 }
    }

    // MARK: Values

    /// Q^ρ(s, z) for every node and token, where ρ is given by its rows.
    public func values(of logRows: [[Double]], reward: [Double]) -> [[Double]] {
        tree.backward(leaves: reward) { node, children in
            zip(logRows[node], children).reduce(0) { $0 + ($1.0 > -.infinity ? exp($1.0) * $1.1 : 0) }
        }.children
    }

    /// Q_soft(s, z) = β · log E_{τ~ρ_sft}[exp(r/β)] for every node and token (docs/mathematics.md section 5).
    public static func softValues(_ instance: TabularInstance, reward: [Double]) -> [[Double]] {
        let beta = instance.beta
        return instance.tree.backward(leaves: reward.map { $0 / beta }) { node, children in
            LogSpace.logSumExp(zip(instance.logReference[node], children).map { $0 + $1 })
        }.children.map { $0.map { $0 * beta } }
    }

    /// ρ_r^β as token-level rows: π_sft tilted by Q_soft at β.
    static func aligned(_ instance: TabularInstance, to reward: [Double]) -> [[Double]] {
        let values = softValues(instance, reward: reward)
        return tilted(instance.logReference, by: values, alpha: instance.beta)
    }

    /// π_α ∝ π_tilt · exp(Q/α) at every node, over the whole vocabulary.
    static func tilted(_ logTilt: [[Double]], by values: [[Double]], alpha: Double) -> [[Double]] {
        zip(logTilt, values).map { row, values in
            // Over what the tilt policy allows: a value that cannot be had must not set the scale.
            let best = zip(row, values).filter { $0.0 > -.infinity }.map(\.1).max() ?? 0
            return LogSpace.logSoftmax(zip(row, values).map { $0 > -.infinity ? $0 + ($1 - best) / alpha : $0 })
        }
    }

    /// Q^{ρ_r} from the rollouts of ρ_BL, corrected by w = exp((r − r_BL)/β) (docs/mathematics.md section 4), with every rollout
    /// taken into account: E_{ρ_BL}[w·r] / E_{ρ_BL}[w] at every node and token.
    public func correctedValues(baselineReward: [Double]) -> [[Double]] {
        let rows = Self.aligned(instance, to: baselineReward)
        let logWeights = zip(instance.reward, baselineReward).map { ($0 - $1) / instance.beta }
        return weightedValues(rows: rows, logWeights: logWeights)
    }

    /// E_ρ[w·r] / E_ρ[w] for rollouts of the policy `rows` below every node and token.
    func weightedValues(rows: [[Double]], logWeights: [Double]) -> [[Double]] {
        // r may be negative, so its mean is taken around the least reward, where logarithms exist.
        let floor = (instance.reward.min() ?? 0) - 1
        func logMean(_ leaves: [Double]) -> [[Double]] {
            tree.backward(leaves: leaves) { node, children in
                LogSpace.logSumExp(zip(rows[node], children).map { $0 + $1 })
            }.children
        }
        let numerator = logMean(zip(logWeights, instance.reward).map { $0 + log($1 - floor) })
        let denominator = logMean(logWeights)
        return zip(numerator, denominator).map { zip($0, $1).map { exp($0 - $1) + floor } }
    }

    // MARK: Methods

    /// Keys of `methods()`, in the order in which they are shown.
    public static let names = [
        "reference", "optimal", "args", "cd", "baseline", "transfer-q", "transfer-q@reference", "transfer-q-naive",
        "transfer-q-indirect", "transfer-q-soft", "best-of-n",
    ]

    /// Every method that the instance has what it takes for.
    public func methods() -> [String: ExactMethod] {
        let alpha = instance.alpha
        let reference = instance.logReference
        func steered(_ values: [[Double]], on tilt: [[Double]]) -> ExactMethod {
            method(rows: Self.tilted(tilt, by: values, alpha: alpha))
        }
        let direct = values(of: optimalRows, reward: instance.reward)
        var methods = [
            "reference": method(rows: reference),
            "optimal": method(rows: optimalRows),
            "baseline": method(rows: baselineRows),
            "cd": steered(values(of: reference, reward: instance.reward), on: reference),
            "transfer-q": steered(direct, on: optimalRows),
            "transfer-q@reference": steered(direct, on: reference),
            "transfer-q-soft": steered(Self.softValues(instance, reward: instance.reward), on: reference),
        ]
        if let baselineReward = instance.baselineReward {
            methods["transfer-q-naive"] = steered(values(of: baselineRows, reward: instance.reward), on: reference)
            methods["transfer-q-indirect"] = steered(
                correctedValues(baselineReward: baselineReward), on: reference)
        }
        if let values = prefixValues() { methods["args"] = steered(values, on: reference) }
        if let n = instance.bestOf { methods["best-of-n"] = bestOf(n) }
        return methods
    }

    /// ARGS' values: the reward of the text that a token leads to, finished or not.
    public func prefixValues() -> [[Double]]? {
        guard let prefixReward = instance.prefixReward else { return nil }
        return tree.children.map { row in
            row.map { child in
                switch child {
                case .node(let index): prefixReward[index]
                case .leaf(let index): instance.reward[index]
                }
            }
        }
    }

    /// A token-level policy, given by its rows.
    public func method(rows: [[Double]]) -> ExactMethod {
        method(logResponses: tree.forward(logRows: rows).leaves, rows: rows)
    }

    private func method(logResponses: [Double], rows: [[Double]]?) -> ExactMethod {
        let expected = zip(logResponses, instance.reward).reduce(0) { $0 + exp($1.0) * $1.1 }
        return ExactMethod(
            logResponses: logResponses, logRows: rows, expectedReward: expected,
            klToReference: LogSpace.klDivergence(logResponses, from: logReferenceResponses),
            gapToBest: (instance.reward.max() ?? 0) - expected, gapToOptimal: optimalReward - expected)
    }

    /// The best of n draws from the reference; equal rewards share in proportion to the reference.
    private func bestOf(_ n: Int) -> ExactMethod {
        let order = instance.reward.indices.sorted { instance.reward[$0] < instance.reward[$1] }
        var logs = [Double](repeating: -.infinity, count: order.count)
        var below = 0.0
        var start = 0
        while start < order.count {
            var end = start
            while end < order.count, instance.reward[order[end]] == instance.reward[order[start]] { end += 1 }
            let mass = order[start..<end].reduce(0) { $0 + exp(logReferenceResponses[$1]) }
            let upTo = min(1, below + mass)
            // ((below + mass)ⁿ − belowⁿ) / mass, in a form that does not cancel.
            let share = -expm1(Double(n) * log1p(-mass / upTo)) / mass
            let logFactor = Double(n) * log(upTo) + log(share)
            for index in order[start..<end] where mass > 0 {
                logs[index] = logReferenceResponses[index] + logFactor
            }
            below = upTo
            start = end
        }
        return method(logResponses: LogSpace.logSoftmax(logs), rows: nil)
    }
}
