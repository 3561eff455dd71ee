import Foundation

/// A predictive distribution of what a candidate's value surprises by (``ValueScale``): Student's t, from a prior
/// (``ConfidenceCalibration``) and what was seen in this answer.
///
/// What was seen are candidates that were evaluated for their probabilities and the incumbent's value, never for their own,
/// so they are a fair sample of what such candidates come to. The candidates of one step are compared with one incumbent and
/// share its luck, so they are no independent sample: a step counts once, by the means of its surprises and of their
/// squares, and degrees of freedom are steps.
public struct DifferenceModel: Sendable {
    public let calibration: ConfidenceCalibration
    /// Steps seen in this answer.
    public private(set) var steps = 0.0
    private var sum = 0.0
    private var squares = 0.0

    public init(_ calibration: ConfidenceCalibration = .standard) { self.calibration = calibration }

    /// Learns from the candidates of one step; nothing from none.
    public mutating func add(step surprises: [Double]) {
        guard !surprises.isEmpty else { return }
        steps += 1
        sum += surprises.reduce(0, +) / Double(surprises.count)
        squares += surprises.reduce(0) { $0 + $1 * $1 } / Double(surprises.count)
    }

    /// P(surprise > `need`).
    ///
    /// - Parameters:
    ///   - spread: standard deviation of the prior; without one the first steps must tell, and until two have, the chance
    ///     counts as 1.
    ///   - isGuess: whether the incumbent's value is not known.
    public func chance(above need: Double, spread: Double?, isGuess: Bool = false) -> Double {
        guard let prediction = prediction(spread: spread, isGuess: isGuess) else { return 1 }
        guard prediction.scale > 0 else {
            // All surprises were the same: that the next one is another has still the chance of Laplace's rule.
            return need < prediction.mean ? 1 : 1 / (steps + 2)
        }
        return StudentT.upperTail((need - prediction.mean) / prediction.scale, freedom: prediction.freedom)
    }

    /// Student's t with a mean and a scale.
    struct Prediction {
        let mean: Double
        let scale: Double
        let freedom: Double

        func logDensity(of surprise: Double) -> Double {
            let t = (surprise - mean) / scale
            return lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * log(freedom * .pi) - log(scale)
                - (freedom + 1) / 2 * log1p(t * t / freedom)
        }
    }

    /// The conjugate prediction for a normal with unknown mean and variance, whose prior has the mean 0 and counts for
    /// ``ConfidenceCalibration/priorSteps``; nil while nothing is known.
    func prediction(spread: Double?, isGuess: Bool = false) -> Prediction? {
        let prior = spread == nil ? 0 : calibration.priorSteps
        let total = steps + prior
        let freedom = spread == nil ? steps - 1 : total
        guard freedom >= 1 else { return nil }
        let mean = sum / total
        let scale = spread ?? 0
        let variance = max(0, squares + prior * scale * scale - total * mean * mean) / freedom
        let inflation = isGuess ? calibration.guessInflation : 1
        return Prediction(
            mean: mean, scale: (variance * inflation * (1 + 1 / total)).squareRoot(), freedom: freedom)
    }
}
