import Foundation
import Testing
import TransferQ
import TransferQRewards

/// The convex fit against plain gradient descent, and what it may not look at.
@Suite struct FitTests {
    /// Rows of standard normal numbers.
    private static func rows(_ count: Int, _ width: Int, seed: UInt64) -> [[Double]] {
        let noise = Noise(seed: seed)
        return (0..<count).map { row in
            (0..<width).map { column in
                let (left, right) = (noise.derived(row).derived(2 * column), noise.derived(row).derived(2 * column + 1))
                return (-2 * log(left.uniform)).squareRoot() * cos(2 * .pi * right.uniform)
            }
        }
    }

    /// Small steps down the gradient until it vanishes: nothing in common with the solver but the objective.
    private static func descent(_ rows: [[Double]], regularization: Double, hasIntercept: Bool) -> [Double] {
        let width = rows[0].count
        var weights = [Double](repeating: 0, count: width)
        for _ in 0..<200_000 {
            var gradient = weights.indices.map { hasIntercept && $0 == width - 1 ? 0 : regularization * weights[$0] }
            for row in rows {
                let margin = zip(row, weights).reduce(0) { $0 + $1.0 * $1.1 }
                let slope = -1 / (1 + exp(margin)) / Double(rows.count)
                for index in 0..<width { gradient[index] += slope * row[index] }
            }
            for index in 0..<width { weights[index] -= 0.2 * gradient[index] }
            if gradient.allSatisfy({ abs($0) < 1e-12 }) { break }
        }
        return weights
    }

    @Test(arguments: [0.003, 0.1, 3.0]) func agreesWithGradientDescent(regularization: Double) {
        let rows = Self.rows(60, 5, seed: 1).map { row in row.enumerated().map { $1 + 0.4 * Double($0) } }
        let solved = LogisticProblem(rows: rows, regularization: regularization).solve()
        let reference = Self.descent(rows, regularization: regularization, hasIntercept: false)
        #expect(zip(solved, reference).allSatisfy { abs($0 - $1) < 1e-6 })
        #expect(solved.contains { abs($0) > 0.01 })
    }

    @Test func interceptIsNotPenalised() {
        // Labels that are mostly true, whatever the features say.
        let noise = Noise(seed: 9)
        let rows = Self.rows(80, 3, seed: 2).enumerated().map { index, row in
            (row + [1]).map { noise.derived(index).uniform < 0.8 ? $0 : -$0 }
        }
        let solved = LogisticProblem(rows: rows, regularization: 0.5, hasIntercept: true).solve()
        let reference = Self.descent(rows, regularization: 0.5, hasIntercept: true)
        #expect(zip(solved, reference).allSatisfy { abs($0 - $1) < 1e-6 })
        #expect(solved[3] > 1)
    }

    @Test func separableDataStayFinite() {
        let rows = Self.rows(20, 4, seed: 3).map { [abs($0[0]) + 1] + $0.dropFirst() }
        let problem = LogisticProblem(rows: rows, regularization: 1e-3)
        let solved = problem.solve()
        #expect(solved.allSatisfy { $0.isFinite })
        #expect(problem.accuracy(at: solved) == 1)
    }

    /// States of pairs that differ in the first feature, the chosen one higher.
    static func pairs(_ count: Int, gap: Double, seed: UInt64) -> FitData {
        let source = StateSource(weights: "test", prompt: [])
        let states = rows(2 * count, 6, seed: seed).enumerated().map { index, row in
            var state = row.map { Float($0) }
            state[0] += index % 2 == 0 ? Float(gap) : 0
            state[5] = 3  // says nothing
            return PooledState(source: source, last: state, mean: state)
        }
        return FitData(states: states, kind: .pairs, pooling: .last)
    }

    @Test func findsWhatPeopleLikeAndTellsHowSure() async {
        let fit = await HeadFit(Self.pairs(300, gap: 1.5, seed: 4))
        let margins = fit.margins(Self.pairs(300, gap: 1.5, seed: 5))
        let accuracy = HeadFit.accuracy(margins)
        // Two normals 1.5 apart are in order with probability Φ(1.5/√2) = 0.856.
        #expect(accuracy.low < 0.856 && accuracy.high > 0.856)
        #expect(abs(fit.weights[0]) > 3 * abs(fit.weights[1]))
        #expect(fit.weights[5] == 0)
        #expect(fit.path.count == HeadFit.regularizations.count)
        // Log-odds are as sure as they are right.
        let sure = margins.reduce(0) { $0 + 1 / (1 + exp(-abs($1))) } / Double(margins.count)
        #expect(abs(sure - accuracy.accuracy) < 0.06)
    }

    @Test func noiseIsNotMistakenForPreference() async {
        let fit = await HeadFit(Self.pairs(200, gap: 0, seed: 6))
        #expect(fit.regularization == HeadFit.regularizations.max())
        let accuracy = HeadFit.accuracy(fit.margins(Self.pairs(400, gap: 0, seed: 7)))
        #expect(accuracy.low < 0.5 && accuracy.high > 0.5)
    }

    @Test func sameDataGiveTheSameFit() async {
        let first = await HeadFit(Self.pairs(80, gap: 1, seed: 8), seed: 3)
        let second = await HeadFit(Self.pairs(80, gap: 1, seed: 8), seed: 3)
        #expect(first.weights == second.weights && first.bias == second.bias)
    }

    @Test func labelsAreFittedWithTheirShare() async {
        let source = StateSource(weights: "test", prompt: [])
        let rows = Self.rows(400, 4, seed: 10)
        let noise = Noise(seed: 11)
        // P(good) = σ(2·x₀ + 1)
        let labels = rows.indices.map { noise.derived($0).uniform < 1 / (1 + exp(-2 * rows[$0][0] - 1)) }
        let states = rows.map { row in
            PooledState(source: source, last: row.map { Float($0) }, mean: row.map { Float($0) })
        }
        let data = FitData(states: states, kind: .labelled(labels), pooling: .mean)
        let fit = await HeadFit(data, regularizations: [1e-4])
        #expect(abs(fit.weights[0] - 2) < 0.5 && abs(fit.bias - 1) < 0.5)
        let share = fit.rewards(data).reduce(0) { $0 + 1 / (1 + exp(-$1)) } / Double(labels.count)
        #expect(abs(share - Double(labels.count { $0 }) / Double(labels.count)) < 0.01)
    }

    @Test func headsSquashAroundTypicalAnswers() {
        var head = LinearHead(
            backbone: .init(model: "m", sha256: "", type: nil, width: 2), template: .chat, pooling: .both,
            weights: [1, 0, 0, 2], bias: 0.5)
        func reward(_ last: [Float], _ mean: [Float]) -> Double {
            head.reward(of: PooledState(source: .init(weights: "", prompt: []), last: last, mean: mean))
        }
        #expect(reward([3, 9], [9, -1]) == 3 - 2 + 0.5)
        head.calibration = RewardCalibration(mean: 0.5, spread: 2, count: 9)
        head.squash = 3
        #expect(head.range == -5.5...6.5)
        #expect(abs(reward([3, 9], [9, -1]) - (0.5 + 6 * tanh(1.0 / 6))) < 1e-12)
        #expect(reward([1000, 0], [0, 0]) <= 6.5)
        #expect(reward([0, 0], [0, 0]) == 0.5)
    }

    @Test func headFilesAreCheckedAndKeepEverything() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "transferq-head-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "head.json").path
        var head = LinearHead(
            backbone: .init(model: "m", sha256: "ab", type: "f32", width: 3), template: .dialogue, pooling: .mean,
            weights: [0.1, -2.5e-7, 3], bias: -0.25)
        head.calibration = RewardCalibration(mean: 1, spread: 2, count: 3)
        head.heldOut = .init(correct: 70, of: 100)
        try head.write(to: path)
        #expect(try LinearHead.read(path) == head)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        for (change, complaint) in [
            ("\"width\":3", "\"width\":4"), ("\"format\":\"transferq-head-1\"", "\"format\":\"x\""),
            ("\"spread\":2", "\"spread\":0"), ("{", "["),
        ].map({ (text.replacing($0, with: $1), $0) }) {
            try change.write(toFile: path, atomically: true, encoding: .utf8)
            let error = #expect(throws: RewardError.self, "\(complaint)") { try LinearHead.read(path) }
            #expect(error?.description.contains("head.json cannot be used") == true)
        }
        #expect(throws: RewardError.self) { try LinearHead.read(path + ".missing") }
        #expect(throws: RewardError.self) { try head.write(to: folder.path + "/missing/head.json") }
    }

    @Test func wilsonIntervalMatchesItsFormula() {
        let accuracy = LinearHead.Accuracy(correct: 70, of: 100)
        #expect(abs(accuracy.low - 0.6042) < 1e-3 && abs(accuracy.high - 0.7811) < 1e-3)
    }
}

/// Value heads, on values that are known.
@Suite struct ValueFitTests {
    /// Values linear in the states, with noise, and a state's own constant.
    private static func states(_ count: Int, noise size: Double) -> [ValuedState] {
        let noise = Noise(seed: 3)
        let weights = (0..<6).map { noise.derived(-1).derived($0).gumbel }
        return (0..<count).map { index in
            let numbers = (0..<5).map { candidate in
                (0..<6).map { Float(noise.derived(index).derived(candidate).derived($0).gumbel) }
            }
            let values = numbers.enumerated().map { candidate, features in
                zip(weights, features).reduce(noise.derived(index).derived(-2).uniform) { $0 + $1.0 * Double($1.1) }
                    + size * noise.derived(index).derived(candidate).derived(-3).gumbel
            }
            let states = numbers.map { PooledState(source: .init(weights: "", prompt: []), last: $0, mean: $0) }
            return ValuedState(prompt: index / 4, states: states, values: values, pooling: .last)
        }
    }

    @Test func findsWhatTellsCandidatesApart() async throws {
        let exact = try await ValueFit(Self.states(60, noise: 0), regularizations: [1e-9])
        #expect(exact.training.explained > 0.9999)
        #expect(exact.training.states == 60 && exact.training.candidates == 300)
        let noisy = try await ValueFit(Self.states(60, noise: 1))
        #expect(noisy.training.explained < exact.training.explained && noisy.training.explained > 0.3)
        #expect(noisy.path.map(\.regularization).contains(noisy.training.regularization))
        let again = try await ValueFit(Self.states(60, noise: 1))
        #expect(again.weights == noisy.weights && again.bias == noisy.bias)
    }

    @Test func predictionsStayWhereValuesLay() async throws {
        let fit = try await ValueFit(Self.states(40, noise: 0.1))
        let backbone = LinearHead.Backbone(model: "m", sha256: "s", type: nil, width: 6)
        let head = LinearValueHead(backbone: backbone, system: nil, pooling: .last, fit: fit)
        for size in [-1e6, 0, 1e6] as [Float] {
            let state = PooledState(
                source: .init(weights: "", prompt: []), last: [Float](repeating: size, count: 6), mean: [])
            #expect(head.range.contains(head.value(of: state)))
        }
        let path = FileManager.default.temporaryDirectory.appending(path: "value-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try head.write(to: path)
        var read = try LinearValueHead.read(path)
        read.name = ""
        #expect(read == head)
        read.weights.removeLast()
        try read.write(to: path)
        #expect(throws: RewardError.self) { try LinearValueHead.read(path) }
    }

    @Test func valuesAllAlikeAreRefused() async throws {
        let states = (0..<4).map { index in
            let state = PooledState(source: .init(weights: "", prompt: []), last: [Float(index), 1], mean: [])
            return ValuedState(prompt: index, states: [state, state], values: [2, 2], pooling: .last)
        }
        await #expect(throws: TransferQError.self) { try await ValueFit(states) }
    }
}
