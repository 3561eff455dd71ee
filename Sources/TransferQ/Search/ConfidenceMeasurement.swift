/// A step of a search in full, which gave every candidate a value.
public struct ValuedStep: Hashable, Sendable {
    /// Steps of one prompt follow each other in the order of the answer.
    public let prompt: Int
    /// Value of the candidate that wins at equal values.
    public let incumbent: Double
    /// Values of the other candidates, at least one.
    public let others: [Double]
    /// Value of the candidate that was chosen.
    public let chosen: Double
    public let isIncumbentChosen: Bool

    public init(prompt: Int, incumbent: Double, others: [Double], chosen: Double, isIncumbentChosen: Bool) {
        self.prompt = prompt
        self.incumbent = incumbent
        self.others = others
        self.chosen = chosen
        self.isIncumbentChosen = isIncumbentChosen
    }
}

extension ConfidenceCalibration {
    /// Measures what `--confidence` assumes, on searches in full. Every step counts once, whatever its candidates.
    ///
    /// `priorSteps` is the number under which each answer's steps, one after the other, are least surprising to what the
    /// steps before them let expect.
    ///
    /// - Parameters:
    ///   - scale: range and mean of the reward.
    ///   - rewardSpread: standard deviation of the reward over typical answers, above 0; 1 for rewards in such units.
    ///   - source: what the steps are of, in words.
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` for fewer than 30 steps or 3 prompts, or
    ///   values all alike.
    public init(measuring steps: [ValuedStep], scale: ValueScale, rewardSpread: Double, source: String) throws {
        let steps = steps.filter { !$0.others.isEmpty }
        let prompts = Set(steps.map(\.prompt)).count
        guard steps.count >= 30, prompts >= 3 else {
            throw TransferQError.invalidParameter(
                name: "the number of steps with all values", value: "\(steps.count) of \(prompts) prompts",
                requirement: "at least 30, of at least 3 prompts; trace more with --without prune")
        }
        let slope = Self.slope(of: steps, scale)
        let measured = scale.with(slope: slope)
        let surprises = steps.map { step in step.others.map { measured.surprise(of: $0, beside: step.incumbent) } }
        let square = Self.meanSquare(surprises)
        guard square > 0 else {
            throw TransferQError.invalidParameter(
                name: "the values of a step's candidates", value: "all alike",
                requirement: "different; trace with a reward that tells answers apart")
        }
        let guessed = zip(steps, steps.dropFirst()).compactMap { before, step -> [Double]? in
            guard before.prompt == step.prompt else { return nil }
            return step.others.map { measured.surprise(of: before.chosen + $0 - step.incumbent, beside: before.chosen) }
        }
        let lost = Double(steps.count { !$0.isIncumbentChosen }) / Double(steps.count)
        let spread = square.squareRoot() / rewardSpread
        let inflation = guessed.isEmpty ? 1 : max(1, Self.meanSquare(guessed) / square)
        func calibration(_ priorSteps: Double) throws -> ConfidenceCalibration {
            try ConfidenceCalibration(
                slope: slope, spread: spread, priorSteps: priorSteps, guessInflation: inflation, lossRate: lost,
                source: source)
        }
        let answers = Dictionary(grouping: zip(steps, surprises).map { ($0.prompt, $1) }) { $0.0 }
            .sorted { $0.key < $1.key }.map { $0.value.map(\.1) }
        var best = (calibration: try calibration(1), likelihood: -Double.infinity)
        for priorSteps in Self.priorStepsTried {
            let candidate = try calibration(priorSteps)
            let likelihood = answers.reduce(0) {
                $0 + Self.logLikelihood($1, candidate, spread: spread * rewardSpread)
            }
            if likelihood > best.likelihood { best = (candidate, likelihood) }
        }
        self = best.calibration
    }

    private static let priorStepsTried = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256].map(Double.init)

    /// Least squares with an intercept, within 0...1; without a mean that it is measured from there is nothing to regress
    /// to, and values are expected where the incumbent's is.
    private static func slope(of steps: [ValuedStep], _ scale: ValueScale) -> Double {
        guard scale.mean != nil else { return 1 }
        let points = steps.flatMap { step in
            step.others.map { (scale.stretched(step.incumbent), scale.stretched($0), 1 / Double(step.others.count)) }
        }
        let weight = points.reduce(0) { $0 + $1.2 }
        let (x, y) = points.reduce((0, 0)) { ($0.0 + $1.2 * $1.0 / weight, $0.1 + $1.2 * $1.1 / weight) }
        let covariance = points.reduce(0) { $0 + $1.2 * ($1.0 - x) * ($1.1 - y) }
        let variance = points.reduce(0) { $0 + $1.2 * ($1.0 - x) * ($1.0 - x) }
        return variance > 0 ? min(1, max(0, covariance / variance)) : 1
    }

    private static func meanSquare(_ steps: [[Double]]) -> Double {
        steps.reduce(0) { sum, step in sum + step.reduce(0) { $0 + $1 * $1 } / Double(step.count) }
            / Double(max(1, steps.count))
    }

    /// log of how likely an answer's steps are, each by what those before it let expect, nats; a step's candidates share
    /// one step's weight.
    private static func logLikelihood(
        _ steps: [[Double]], _ calibration: ConfidenceCalibration, spread: Double
    ) -> Double {
        var model = DifferenceModel(calibration)
        return steps.reduce(0) { sum, step in
            defer { model.add(step: step) }
            guard let prediction = model.prediction(spread: spread) else { return sum }
            return sum + step.reduce(0) { $0 + prediction.logDensity(of: $1) } / Double(step.count)
        }
    }
}
