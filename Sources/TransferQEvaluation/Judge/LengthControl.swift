import Foundation
public import TransferQ

/// The win rate that answers would have at equal lengths, in the manner of AlpacaEval 2 (Dubois et al., 2404.04475):
/// logit P(win) = θ + φ·tanh(Δ/σ), with Δ the difference of lengths and σ its standard deviation, read at Δ = 0.
///
/// AlpacaEval's third term, how hard a prompt is, is fitted over a leaderboard of models and has no counterpart in one run.
public struct LengthControl: Sendable {
    /// P(win) at equal lengths, 0 to 1.
    public let winRate: Double
    /// θ and φ.
    public let intercept: Double
    public let slope: Double

    /// Penalties on θ²/2 and φ²/2: the first only keeps it finite where one side always wins; the second is a standard normal
    /// prior, so that lengths explain verdicts only as far as they must.
    private static let penalties = (intercept: 1e-3, slope: 1.0)

    /// - Parameters:
    ///   - outcomes: 1 for a win, 0.5 for a tie, 0 for a loss; at least one.
    ///   - lengths: of the answer minus of its rival, as many.
    public init?(outcomes: [Double], lengths: [Double]) {
        guard !outcomes.isEmpty, outcomes.count == lengths.count else { return nil }
        let count = Double(lengths.count)
        let mean = lengths.reduce(0, +) / count
        let spread = (lengths.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
        let terms = lengths.map { spread > 0 ? tanh($0 / spread) : 0 }
        var (theta, phi) = (0.0, 0.0)
        // Newton's steps on a concave function; far more than it takes.
        for _ in 0..<100 {
            var gradient = (-Self.penalties.intercept * theta, -Self.penalties.slope * phi)
            var (aa, ab, bb) = (Self.penalties.intercept, 0.0, Self.penalties.slope)
            for (outcome, x) in zip(outcomes, terms) {
                let p = 1 / (1 + exp(-(theta + phi * x)))
                let weight = p * (1 - p)
                gradient.0 += outcome - p
                gradient.1 += (outcome - p) * x
                aa += weight
                ab += weight * x
                bb += weight * x * x
            }
            let determinant = aa * bb - ab * ab
            let step = (
                (bb * gradient.0 - ab * gradient.1) / determinant, (aa * gradient.1 - ab * gradient.0) / determinant
            )
            // Where p is near 0 or 1 a whole step may go too far.
            let scale = min(1, 2 / max(abs(step.0), abs(step.1), 1e-12))
            theta += scale * step.0
            phi += scale * step.1
            if max(abs(step.0), abs(step.1)) < 1e-12 { break }
        }
        intercept = theta
        slope = phi
        winRate = 1 / (1 + exp(-theta))
    }

    /// The win rate with its 95 % interval, by leaving out one prompt at a time.
    public static func interval(outcomes: [Double], lengths: [Double], prompts: [Int]) -> MeanInterval? {
        guard let all = LengthControl(outcomes: outcomes, lengths: lengths) else { return nil }
        let leftOut = Set(prompts).sorted().compactMap { prompt -> Double? in
            let rest = prompts.indices.filter { prompts[$0] != prompt }
            return LengthControl(outcomes: rest.map { outcomes[$0] }, lengths: rest.map { lengths[$0] })?.winRate
        }
        return MeanInterval(all.winRate, leavingOut: leftOut).bounded(to: 0...1)
    }
}
