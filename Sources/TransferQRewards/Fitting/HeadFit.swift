import Foundation
public import TransferQ

/// States with what is known of them, ready to be fitted; one row of a pair is [chosen, rejected].
public struct FitData: Sendable {
    public enum Kind: Sendable {
        case pairs
        case labelled([Bool])

        public var isPairs: Bool { if case .pairs = self { true } else { false } }
    }

    /// Features of the answers: of pair i at 2i (chosen) and 2i + 1 (rejected), or of text i at i.
    let features: [[Float]]
    let kind: Kind
    /// Which pairs or texts belong to one prompt.
    public let groups: PromptGroups

    /// - Parameters:
    ///   - states: of the answers.
    ///   - answers: what the states are of; without them every pair or text counts as one of a prompt of its own.
    ///   - pooling: `last`, `mean` or `both`.
    public init(states: [PooledState], answers: [Completion]? = nil, kind: Kind, pooling: LinearHead.Pooling) {
        features = states.map(pooling.features)
        self.kind = kind
        let count = kind.isPairs ? states.count / 2 : states.count
        guard let answers, answers.count == states.count else {
            groups = PromptGroups(labels: Array(0..<count))
            return
        }
        groups = PromptGroups(
            (0..<count).map { kind.isPairs ? [answers[2 * $0], answers[2 * $0 + 1]] : [answers[$0]] })
    }

    private init(features: [[Float]], kind: Kind, groups: PromptGroups) {
        self.features = features
        self.kind = kind
        self.groups = groups
    }

    /// Pairs or texts.
    public var count: Int {
        switch kind {
        case .pairs: features.count / 2
        case .labelled: features.count
        }
    }

    func subset(_ items: [Int]) -> FitData {
        let groups = PromptGroups(labels: items.map { self.groups.numbers[$0] })
        switch kind {
        case .pairs:
            return FitData(
                features: items.flatMap { [features[2 * $0], features[2 * $0 + 1]] }, kind: .pairs, groups: groups)
        case .labelled(let labels):
            return FitData(
                features: items.map { features[$0] }, kind: .labelled(items.map { labels[$0] }), groups: groups)
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

    /// Deterministic parts of nearly equal size; answers to one prompt stay together.
    public func folds(_ number: Int, seed: UInt64) -> [[Int]] { groups.folds(number, seed: seed) }
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
    /// λ with mean held-out loss (nats) and accuracy over the pairs or texts, each judged by a fit that saw no answer to its
    /// prompt.
    public let path: [(regularization: Double, loss: Double, accuracy: Double)]

    /// λ that are tried when none is given.
    public static let regularizations = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3]

    /// Fits with the λ whose loss, cross-validated over prompts, is the least.
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
            let shares = parts.map { Double($0.count) / Double(data.count) }
            for (index, regularization) in ordered.enumerated() {
                let loss = zip(measured, shares).reduce(0) { $0 + $1.0[index].loss * $1.1 }
                let accuracy = zip(measured, shares).reduce(0) { $0 + $1.0[index].accuracy * $1.1 }
                path.append((regularization, loss, accuracy))
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
