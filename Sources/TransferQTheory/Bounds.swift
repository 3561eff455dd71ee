import Foundation
import TransferQ

/// Both sides of one inequality of docs/mathematics.md section 6, on one instance.
public struct BoundCheck: Codable, Sendable {
    /// `gapToBest`, `gapToOptimal` or `klToReference`.
    public let quantity: String
    /// The quantity itself.
    public let left: Double
    /// What it must not exceed.
    public let right: Double

    public var slack: Double { right - left }
}

extension ExactSolver {
    /// The inequalities that hold for each method that has some: A for the tilt on the baseline, B for the tilt on the
    /// reference. Values are Q^{ρ_BL} with ρ_BL = ρ_r^β; indirect transfer has the same values.
    public func bounds(of methods: [String: ExactMethod]) -> [String: [BoundCheck]] {
        var result: [String: [BoundCheck]] = [:]
        for name in ["transfer-q", "transfer-q@reference", "transfer-q-indirect"] {
            guard let method = methods[name], let rows = method.logRows, let baseline = methods["optimal"] else {
                continue
            }
            let onBaseline = name == "transfer-q"
            let regret = middleTerm(rows: rows, onBaseline: onBaseline)
            let range = (instance.reward.max() ?? 0) - (instance.reward.min() ?? 0)
            let steps = Double(instance.tree.maximumLength)
            let klRight =
                onBaseline
                ? range * (1 / instance.beta + steps / instance.alpha) : range * steps / instance.alpha
            func gapRight(_ comparatorKL: Double) -> Double {
                instance.beta * comparatorKL - instance.beta * baseline.klToReference + regret
            }
            result[name] = [
                BoundCheck(quantity: "gapToBest", left: method.gapToBest, right: gapRight(bestResponseKL)),
                BoundCheck(
                    quantity: "gapToOptimal", left: method.gapToOptimal, right: gapRight(baseline.klToReference)),
                BoundCheck(quantity: "klToReference", left: method.klToReference, right: klRight),
            ]
        }
        return result
    }

    /// KL(ρ* ‖ ρ_sft) of the best single response; of equally good ones the most probable, which bounds tightest.
    var bestResponseKL: Double {
        let best = instance.reward.max() ?? 0
        let logs = instance.reward.indices.filter { instance.reward[$0] == best }.map { logReferenceResponses[$0] }
        return -(logs.max() ?? 0)
    }

    /// −α·H_{π_BL} for the tilt on the baseline, α·Σ E[KL(π_BL‖π_sft) − KL(π_alg‖π_sft)] for the other.
    private func middleTerm(rows: [[Double]], onBaseline: Bool) -> Double {
        let reached = instance.tree.forward(logRows: rows).nodes
        var sum = 0.0
        for node in rows.indices {
            let reference = instance.logReference[node]
            sum +=
                exp(reached[node])
                * (onBaseline
                    ? -LogSpace.klDivergence(rows[node], from: optimalRows[node])
                    : LogSpace.klDivergence(optimalRows[node], from: reference)
                        - LogSpace.klDivergence(rows[node], from: reference))
        }
        return instance.alpha * sum
    }
}
