import Foundation
import TransferQ

/// What `transferq theory solve` prints: docs/mathematics.md section 9.
public struct SolutionReport: Codable, Sendable {
    public struct Method: Codable, Sendable {
        public let expectedReward: Double
        public let klToReference: Double
        public let gapToBest: Double
        public let gapToOptimal: Double
        /// Probability of every response, by its comma-joined tokens.
        public let responses: [String: Double]
    }

    public let methods: [String: Method]
    public let bounds: [String: [BoundCheck]]

    public init(_ solver: ExactSolver) {
        let solved = solver.methods()
        let keys = solver.instance.tree.responses.map(tabularKey)
        methods = solved.mapValues { method in
            Method(
                expectedReward: method.expectedReward, klToReference: method.klToReference,
                gapToBest: method.gapToBest, gapToOptimal: method.gapToOptimal,
                responses: Dictionary(uniqueKeysWithValues: zip(keys, method.logResponses.map { exp($0) })))
        }
        bounds = solver.bounds(of: solved)
    }
}
