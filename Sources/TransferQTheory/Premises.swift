import Foundation
import TransferQ

extension ExactSolver {
    /// What the bounds of section 6 rest on, and the properties of π_α that sections 3 and 8 state: each as an
    /// inequality with both sides, at the state, response or rival where it is tightest.
    public func premises() -> [BoundCheck] {
        let alpha = instance.alpha
        let reference = instance.logReference
        let values = values(of: optimalRows, reward: instance.reward)
        let tilted = Self.tilted(reference, by: values, alpha: alpha)
        let looser = Self.tilted(reference, by: values, alpha: 2 * alpha)
        let range = (instance.reward.max() ?? 0) - (instance.reward.min() ?? 0)
        let optimal = method(rows: optimalRows)

        func largestRatio(_ one: some Sequence<Double>, _ other: some Sequence<Double>) -> Double {
            zip(one, other).filter { $0.0 > -.infinity }.map { $0.0 - $0.1 }.max() ?? 0
        }
        let rivals = reference.indices.flatMap { node in
            let own = objective(tilted[node], values[node], tilt: reference[node])
            return self.rivals(values[node], tilt: reference[node]).map { rival in
                BoundCheck(
                    quantity: "pi_alpha maximises E[Q] - alpha KL",
                    left: objective(rival, values[node], tilt: reference[node]), right: own)
            }
        }
        let kls = reference.indices.map { node in
            BoundCheck(
                quantity: "KL to the tilt policy falls as alpha grows",
                left: LogSpace.klDivergence(looser[node], from: reference[node]),
                right: LogSpace.klDivergence(tilted[node], from: reference[node]))
        }
        let tightest = [rivals, kls].compactMap { $0.min { $0.slack < $1.slack } }
        return tightest + [
            BoundCheck(
                quantity: "log(pi_alpha / pi_tilt) is at most R / alpha",
                left: largestRatio(tilted.joined(), reference.joined()), right: range / alpha),
            BoundCheck(
                quantity: "log(rho_BL / rho_sft) is at most R / beta",
                left: largestRatio(optimal.logResponses, logReferenceResponses), right: range / instance.beta),
            BoundCheck(
                quantity: "rho_BL loses to the best response no more than its KL saves", left: optimal.gapToBest,
                right: instance.beta * (bestResponseKL - optimal.klToReference)),
        ]
    }

    /// E_π[Q] − α·KL(π ‖ π_tilt) at one state.
    private func objective(_ logRow: [Double], _ values: [Double], tilt: [Double]) -> Double {
        let expected = zip(logRow, values).reduce(0) { $0 + ($1.0 > -.infinity ? exp($1.0) * $1.1 : 0) }
        return expected - instance.alpha * LogSpace.klDivergence(logRow, from: tilt)
    }

    /// Other distributions over the same tokens: the tilt policy, the best value alone, and tilts by other strengths.
    private func rivals(_ values: [Double], tilt: [Double]) -> [[Double]] {
        let best = values.indices.max { values[$0] < values[$1] } ?? 0
        let point = values.indices.map { $0 == best ? 0 : -Double.infinity }
        let others = [0.5, 2].flatMap { Self.tilted([tilt], by: [values], alpha: $0 * instance.alpha) }
        return [tilt, point] + others
    }
}
