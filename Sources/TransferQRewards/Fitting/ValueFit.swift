import Foundation
public import TransferQ

/// A state of a decoding whose candidates got values, with the policy's hidden states behind each.
public struct ValuedState: Sendable {
    /// Which prompt it belongs to: predictions are checked on prompts left out of the fit.
    public let prompt: Int
    let features: [[Float]]
    /// Q of each.
    let values: [Double]

    public init(prompt: Int, states: [PooledState], values: [Double], pooling: LinearHead.Pooling) {
        self.prompt = prompt
        features = states.map(pooling.features)
        self.values = values
    }
}

/// Least squares with a penalty: what tells the candidates of one state apart, and a little of what tells states apart.
///
/// A choice depends only on differences between the values of a state's candidates. So the fit minimises the squared error
/// of these, deviations from the state's mean, plus `meanWeight` of that of the means, and ½λ|w|².
public struct ValueFit: Sendable {
    /// For unstandardised features.
    public let weights: [Float]
    public let bias: Double
    /// Where the values lay.
    public let range: ClosedRange<Double>
    /// Standard deviation of the difference between two candidates of a state.
    public let differenceSpread: Double
    public let training: LinearValueHead.Training
    /// λ with the share of the variance of differences that predictions for left-out prompts explain.
    public let path: [(regularization: Double, explained: Double)]

    /// λ that are tried.
    public static let regularizations = [0.01, 0.1, 0.3, 1, 3, 10, 30, 100]
    static let meanWeight = 0.1

    /// Fits with the λ that explains most in cross-validation by prompts; the same data gives the same fit.
    ///
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` for too few states or values all alike.
    public init(
        _ states: [ValuedState], regularizations: [Double] = ValueFit.regularizations, folds: Int = 4,
        progress: @Sendable (Double, Double) -> Void = { _, _ in }
    ) async throws {
        let states = states.filter { $0.values.count > 1 }
        let prompts = Set(states.map(\.prompt)).sorted()
        let values = states.flatMap(\.values)
        let differences = states.flatMap { state in state.values.map { $0 - state.values.mean } }
        let variance = differences.reduce(0) { $0 + $1 * $1 } / Double(max(1, differences.count))
        guard prompts.count >= 2, variance > 0, let low = values.min(), let high = values.max() else {
            throw TransferQError.invalidParameter(
                name: "the number of prompts with differing values", value: "\(variance > 0 ? prompts.count : 0)",
                requirement: "at least 2; trace more prompts, with a reward and --without prune")
        }
        let ordered = regularizations.sorted(by: >)
        let folds = min(folds, prompts.count)
        let explained = await withTaskGroup(of: (Int, [Double]).self) { group in
            for fold in 0..<folds {
                group.addTask {
                    let isHeld = Set(prompts.indices.filter { $0 % folds == fold }.map { prompts[$0] })
                    let problem = ValueProblem(states.filter { !isHeld.contains($0.prompt) })
                    let held = states.filter { isHeld.contains($0.prompt) }
                    var solution: [Double]?
                    let errors = ordered.map { regularization in
                        let weights = problem.solve(regularization, from: solution, accuracy: 1e-3)
                        solution = weights
                        return problem.squaredError(weights, on: held)
                    }
                    return (fold, errors)
                }
            }
            // Added up fold by fold, whichever is done first, so that the same states give the same head.
            var all = [[Double]](repeating: [], count: folds)
            for await (fold, errors) in group { all[fold] = errors }
            return ordered.indices.map { place in
                1 - all.reduce(0) { $0 + $1[place] } / (variance * Double(differences.count))
            }
        }
        path = zip(ordered, explained).map { ($0, $1) }
        for (regularization, share) in path { progress(regularization, share) }
        let best = path.max { $0.explained < $1.explained } ?? (ordered[0], 0)
        let problem = ValueProblem(states)
        (weights, bias) = problem.head(problem.solve(best.regularization, from: nil, accuracy: 1e-8))
        range = low...high
        // Two candidates' values differ by √2 standard deviations of one.
        let freedom = Double(differences.count - states.count)
        differenceSpread = (2 * variance * Double(differences.count) / freedom).squareRoot()
        training = .init(
            states: states.count, candidates: values.count, regularization: best.regularization,
            explained: best.explained)
    }
}

/// minimise (1/n) Σ c_i (w·x_i − y_i)² + ½λ|w|²
private struct ValueProblem {
    private let rows: DenseMatrix
    /// √c_i·y_i, as the rows have √c_i·x_i.
    private let targets: [Double]
    private let scale: Standardization
    private let meanValue: Double

    init(_ states: [ValuedState]) {
        scale = Standardization(states.flatMap(\.features))
        meanValue = states.flatMap(\.values).mean
        var rows: [[Double]] = []
        var targets: [Double] = []
        for state in states {
            let features = state.features.map(scale.applied)
            let count = Double(features.count)
            let mean = features[0].indices.map { column in features.reduce(0) { $0 + $1[column] } / count }
            let value = state.values.mean
            for (row, own) in zip(features, state.values) {
                rows.append(zip(row, mean).map { $0 - $1 })
                targets.append(own - value)
            }
            let weight = (ValueFit.meanWeight * count).squareRoot()
            rows.append(mean.map { $0 * weight })
            targets.append((value - meanValue) * weight)
        }
        self.rows = DenseMatrix(rows)
        self.targets = targets
    }

    func solve(_ regularization: Double, from start: [Double]?, accuracy: Double) -> [Double] {
        let factor = 2 / Double(rows.count)
        let target = rows.transposedTimes(targets).map { $0 * factor }
        return ConjugateGradients.solve(target, from: start, accuracy: accuracy) { direction in
            let image = rows.transposedTimes(rows.times(direction))
            return zip(image, direction).map { $0 * factor + regularization * $1 }
        }
    }

    /// Σ of the squared errors of differences within the states.
    func squaredError(_ weights: [Double], on states: [ValuedState]) -> Double {
        states.reduce(0) { sum, state in
            let predictions = state.features.map { ConjugateGradients.dot(weights, scale.applied(to: $0)) }
            let errors = zip(predictions, state.values).map { $0 - $1 }
            return sum + errors.reduce(0) { $0 + ($1 - errors.mean) * ($1 - errors.mean) }
        }
    }

    /// For unstandardised features, in five digits.
    func head(_ weights: [Double]) -> (weights: [Float], bias: Double) {
        let scaled = zip(weights, scale.spreads).map { Float(($0 / $1).significant(5)) ?? Float($0 / $1) }
        return (scaled, meanValue - zip(scaled, scale.means).reduce(0) { $0 + Double($1.0) * $1.1 })
    }
}

extension [Double] {
    fileprivate var mean: Double { reduce(0, +) / Double(Swift.max(1, count)) }
}
