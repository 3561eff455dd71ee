import Foundation
public import TransferQ

/// States with what is known of them, ready to be fitted; one row of a pair is [chosen, rejected].
public struct FitData: Sendable {
    public enum Kind: Sendable {
        case pairs
        case labelled([Bool])
    }

    /// Features of the answers: of pair i at 2i (chosen) and 2i + 1 (rejected), or of text i at i.
    let features: [[Float]]
    let kind: Kind

    /// - Parameter pooling: `last`, `mean` or `both`.
    public init(states: [PooledState], kind: Kind, pooling: LinearHead.Pooling) {
        features = states.map(pooling.features)
        self.kind = kind
    }

    private init(features: [[Float]], kind: Kind) {
        self.features = features
        self.kind = kind
    }

    /// Pairs or texts.
    public var count: Int {
        switch kind {
        case .pairs: features.count / 2
        case .labelled: features.count
        }
    }

    func subset(_ items: [Int]) -> FitData {
        switch kind {
        case .pairs: FitData(features: items.flatMap { [features[2 * $0], features[2 * $0 + 1]] }, kind: .pairs)
        case .labelled(let labels):
            FitData(features: items.map { features[$0] }, kind: .labelled(items.map { labels[$0] }))
        }
    }

    /// Rows whose product with the weights shall be positive.
    func problem(_ scale: Standardization, regularization: Double) -> LogisticProblem {
        switch kind {
        case .pairs:
            let rows = (0..<count).map { index in
                zip(scale.applied(to: features[2 * index]), scale.applied(to: features[2 * index + 1])).map { $0 - $1 }
            }
            return LogisticProblem(rows: rows, regularization: regularization)
        case .labelled(let labels):
            let rows = zip(features, labels).map { features, label in
                (scale.applied(to: features) + [1]).map { label ? $0 : -$0 }
            }
            return LogisticProblem(rows: rows, regularization: regularization, hasIntercept: true)
        }
    }

    /// Deterministic parts of nearly equal size, by turns.
    func folds(_ number: Int, seed: UInt64) -> [[Int]] {
        let noise = Noise(seed: seed)
        let order = (0..<count).sorted { noise.derived($0).uniform < noise.derived($1).uniform }
        return (0..<number).map { fold in order.indices.filter { $0 % number == fold }.map { order[$0] } }
    }
}

/// Mean and spread of every feature, from the training answers.
struct Standardization: Sendable {
    let means: [Double]
    let spreads: [Double]

    init(_ features: [[Float]]) {
        let width = features.first?.count ?? 0
        var means = [Double](repeating: 0, count: width)
        var squares = means
        for row in features { for index in 0..<width { means[index] += Double(row[index]) } }
        for index in 0..<width { means[index] /= Double(features.count) }
        for row in features {
            for index in 0..<width {
                squares[index] += (Double(row[index]) - means[index]) * (Double(row[index]) - means[index])
            }
        }
        self.means = means
        // A feature that never changes says nothing, whatever it is divided by.
        spreads = squares.map { $0 > 0 ? ($0 / Double(features.count)).squareRoot() : 1 }
    }

    func applied(to features: [Float]) -> [Double] {
        features.indices.map { (Double(features[$0]) - means[$0]) / spreads[$0] }
    }
}

/// A linear reward as it was fitted.
public struct HeadFit: Sendable {
    /// For unstandardised features.
    public let weights: [Float]
    public let bias: Double
    public let regularization: Double
    /// λ with mean held-out loss (nats) and accuracy over the folds.
    public let path: [(regularization: Double, loss: Double, accuracy: Double)]

    /// λ that are tried when none is given.
    public static let regularizations = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]

    /// Fits with the λ whose cross-validated loss is the least.
    ///
    /// The same data gives the same fit. `progress` is called after every λ.
    public init(
        _ data: FitData, regularizations: [Double] = HeadFit.regularizations, folds: Int = 5, seed: UInt64 = 0,
        progress: @Sendable (Double, Double) -> Void = { _, _ in }
    ) async {
        let parts = data.folds(folds, seed: seed)
        // From the strongest on, each solution starts the next.
        let ordered = regularizations.sorted(by: >)
        var path: [(regularization: Double, loss: Double, accuracy: Double)] = []
        if ordered.count > 1 {
            let measured = await withTaskGroup(of: (Int, [(loss: Double, accuracy: Double)]).self) { group in
                for fold in parts.indices {
                    group.addTask {
                        let training = data.subset(parts.indices.filter { $0 != fold }.flatMap { parts[$0] })
                        let scale = Standardization(training.features)
                        let heldOut = data.subset(parts[fold]).problem(scale, regularization: 1)
                        var problem = training.problem(scale, regularization: 1)
                        var weights: [Double]?
                        let measures = ordered.map { regularization in
                            problem.regularization = regularization
                            let solved = problem.solve(from: weights, tolerance: 1e-6)
                            weights = solved
                            return (heldOut.loss(at: solved), heldOut.accuracy(at: solved))
                        }
                        return (fold, measures)
                    }
                }
                var all = [[(loss: Double, accuracy: Double)]](repeating: [], count: parts.count)
                for await (fold, measures) in group { all[fold] = measures }
                return all
            }
            for (index, regularization) in ordered.enumerated() {
                let loss = measured.reduce(0) { $0 + $1[index].loss } / Double(folds)
                path.append((regularization, loss, measured.reduce(0) { $0 + $1[index].accuracy } / Double(folds)))
                progress(regularization, loss)
            }
        }
        let best = path.min { $0.loss < $1.loss }?.regularization ?? ordered[0]
        let scale = Standardization(data.features)
        let solution = data.problem(scale, regularization: best).solve()
        let scaled = zip(solution, scale.spreads).map { $0 / $1 }
        var bias = -zip(scaled, scale.means).reduce(0) { $0 + $1.0 * $1.1 }
        if case .labelled = data.kind { bias += solution[solution.count - 1] }
        // Five digits keep the file small and move no reward by more than a thousandth of the spread.
        weights = scaled.map { Float($0.significant(5)) ?? Float($0) }
        self.bias = bias
        regularization = best
        self.path = path
    }

    /// Rewards of all answers of `data`, in their order.
    public func rewards(_ data: FitData) -> [Double] {
        data.features.map { features in
            zip(weights, features).reduce(bias) { $0 + Double($1.0) * Double($1.1) }
        }
    }

    /// Log-odds of the right answer, one for each pair or text: positive where the fit has it right.
    public func margins(_ data: FitData) -> [Double] {
        let rewards = rewards(data)
        switch data.kind {
        case .pairs: return (0..<data.count).map { rewards[2 * $0] - rewards[2 * $0 + 1] }
        case .labelled(let labels): return zip(rewards, labels).map { $1 ? $0 : -$0 }
        }
    }

    /// How often the margins are positive; ties count half.
    public static func accuracy(_ margins: [Double]) -> LinearHead.Accuracy {
        LinearHead.Accuracy(correct: margins.reduce(0) { $0 + ($1 > 0 ? 1 : $1 == 0 ? 0.5 : 0) }, of: margins.count)
    }
}
