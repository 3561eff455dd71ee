import Foundation
import Testing
import TransferQ
import TransferQTheory

/// The oracle against values worked out by hand.
@Suite struct ExactSolverTests {
    static func solve(_ json: String) throws -> SolutionReport {
        SolutionReport(ExactSolver(try TabularInstance(json: Data(json.utf8))))
    }

    private func expect(
        _ method: SolutionReport.Method?, _ responses: [String: Double], location: SourceLocation = #_sourceLocation
    ) throws {
        let method = try #require(method, sourceLocation: location)
        #expect(Set(method.responses.keys) == Set(responses.keys), sourceLocation: location)
        for (key, probability) in responses {
            #expect(
                abs((method.responses[key] ?? .nan) - probability) < 1e-12, "\(key): \(method.responses)",
                sourceLocation: location)
        }
    }

    @Test func oneTokenOfTwo() throws {
        let report = try Self.solve(
            """
            {"vocabularySize": 2, "maxLength": 1, "reference": {"": [0.25, 0.75]}, "reward": {"0": 1, "1": 0},
             "alpha": 1, "beta": 1, "bestOf": 2}
            """)
        // ρ_r ∝ [e/4, 3/4]; best of two draws is "0" unless both are "1".
        let p = M_E / (M_E + 3)
        try expect(report.methods["optimal"], ["0": p, "1": 1 - p])
        try expect(report.methods["cd"], ["0": p, "1": 1 - p])
        try expect(report.methods["best-of-n"], ["0": 7.0 / 16, "1": 9.0 / 16])
        let optimal = try #require(report.methods["optimal"])
        #expect(abs(optimal.expectedReward - p) < 1e-12)
        #expect(abs(optimal.klToReference - (p * log(4 * p) + (1 - p) * log((1 - p) * 4 / 3))) < 1e-12)
        #expect(abs(optimal.gapToBest - (1 - p)) < 1e-12)
        #expect(abs(optimal.gapToOptimal) < 1e-12)
        // Transfer Q* tilts ρ_r by e once more: ∝ [e², 3].
        let q = M_E * M_E / (M_E * M_E + 3)
        try expect(report.methods["transfer-q"], ["0": q, "1": 1 - q])
        #expect(report.methods["args"] == nil && report.methods["transfer-q-indirect"] == nil)
        // R = T = 1: KL ≤ 1/β + 1/α = 2 for the tilt on the baseline, ≤ 1 for the one on the reference.
        let bounds = report.bounds.mapValues { Dictionary(uniqueKeysWithValues: $0.map { ($0.quantity, $0) }) }
        #expect(bounds["transfer-q"]?["klToReference"]?.right == 2)
        #expect(bounds["transfer-q@reference"]?["klToReference"]?.right == 1)
        // V(best) − V = 1 − q against KL(best‖sft) − KL(ρ_r‖sft) − KL(π_alg‖ρ_r) = log 4 − … .
        let kl = q * log(q / p) + (1 - q) * log((1 - q) / (1 - p))
        let gap = try #require(bounds["transfer-q"]?["gapToBest"])
        #expect(abs(gap.left - (1 - q)) < 1e-12)
        #expect(abs(gap.right - (log(4) - optimal.klToReference - kl)) < 1e-12)
    }

    /// β with exp(1/β) = 2 and α with exp(1/α) = 4, so that every number is a fraction.
    private static let twoSteps = """
        {"vocabularySize": 2, "maxLength": 2, "endToken": 0,
         "reference": {"": [0.5, 0.5], "1": [0.5, 0.5]},
         "reward": {"0": 0, "1,0": 1, "1,1": 0},
         "baselineReward": {"0": 1, "1,0": 0, "1,1": 0}, "prefixReward": {"1": 1},
         "alpha": 0.7213475204444817, "beta": 1.4426950408889634, "bestOf": 2}
        """

    @Test func twoStepsWithAnEnd() throws {
        let report = try Self.solve(Self.twoSteps)
        // Weights 0.5·1, 0.25·2, 0.25·1.
        try expect(report.methods["optimal"], ["0": 0.4, "1,0": 0.4, "1,1": 0.2])
        try expect(report.methods["reference"], ["0": 0.5, "1,0": 0.25, "1,1": 0.25])
        // Q("", 1) = 1/2, so 4^(1/2) = 2 against 1; then 4 against 1.
        try expect(report.methods["cd"], ["0": 1.0 / 3, "1,0": 2.0 / 3 * 0.8, "1,1": 2.0 / 3 * 0.2])
        // The text "1" has reward 1: 4 against 1, twice.
        try expect(report.methods["args"], ["0": 0.2, "1,0": 0.64, "1,1": 0.16])
        // Under ρ_r, Q("", 1) = 0.4/0.6 = 2/3.
        let w = pow(4, 2.0 / 3)
        try expect(
            report.methods["transfer-q@reference"],
            ["0": 1 / (1 + w), "1,0": w / (1 + w) * 0.8, "1,1": w / (1 + w) * 0.2])
        // The tilt on ρ_r: 0.4 against 0.6·w; then (2/3)·4 against 1/3.
        let v = 1.5 * w
        try expect(
            report.methods["transfer-q"],
            ["0": 1 / (1 + v), "1,0": v / (1 + v) * 8 / 9, "1,1": v / (1 + v) / 9])
        // Q_soft("", 1) = β·log 1.5 and α = β/2: 1.5² = 2.25 against 1.
        try expect(report.methods["transfer-q-soft"], ["0": 4.0 / 13, "1,0": 9.0 / 13 * 0.8, "1,1": 9.0 / 13 * 0.2])
        // The best of two is "1,0" with 1 − (3/4)²; the others share 9/16 as 2 to 1.
        try expect(report.methods["best-of-n"], ["0": 0.375, "1,0": 0.4375, "1,1": 0.1875])
        #expect(abs(try #require(report.methods["cd"]).expectedReward - 8.0 / 15) < 1e-12)
        #expect(abs(try #require(report.methods["cd"]).gapToBest - 7.0 / 15) < 1e-12)
        #expect(abs(try #require(report.methods["cd"]).gapToOptimal - (0.4 - 8.0 / 15)) < 1e-12)
    }

    @Test func aBaselineWithAnotherReward() throws {
        let report = try Self.solve(Self.twoSteps)
        // ρ_BL has weights 1, 1/4, 1/4.
        try expect(report.methods["baseline"], ["0": 2.0 / 3, "1,0": 1.0 / 6, "1,1": 1.0 / 6])
        // Uncorrected, Q("", 1) = 1/2: controlled decoding's answer. Corrected it is 2/3: the direct one's.
        #expect(report.methods["transfer-q-naive"]?.responses["0"] == report.methods["cd"]?.responses["0"])
        try expect(
            report.methods["transfer-q-indirect"],
            try #require(report.methods["transfer-q@reference"]).responses)
    }

    @Test func theoryHoldsOnAThousandInstances() throws {
        var verification = Verification()
        for index in 0..<1000 {
            try verification.add(Verification.instance(index, seed: 1), seed: UInt64(1 + index))
        }
        #expect(verification.instances == 1000)
        #expect(verification.violations == 0, "\(verification)")
        #expect(verification.inequalities.count == 14)
        #expect(verification.identities.count == 14)
        for identity in verification.identities {
            #expect(identity.checked == 1000 && identity.largestError < 1e-9, "\(identity)")
        }
        for inequality in verification.inequalities {
            #expect(inequality.checked == 1000)
            #expect(inequality.tightestSlack > -1e-9, "\(inequality)")
            // A bound that says nothing would pass everything above.
            let ceiling = inequality.name.hasSuffix("klToReference") ? 12.0 : 4.0
            #expect(inequality.meanSlack.isFinite && inequality.meanSlack < ceiling, "\(inequality)")
        }
    }

    @Test func bestOfHugeNumbersIsTheBest() throws {
        let json = Self.twoSteps.replacingOccurrences(of: "\"bestOf\": 2", with: "\"bestOf\": 2000000000")
        let best = try #require(try Self.solve(json).methods["best-of-n"])
        #expect(abs((best.responses["1,0"] ?? 0) - 1) < 1e-9 && abs(best.expectedReward - 1) < 1e-9)
    }

    @Test func instancesSurviveTheirJSON() throws {
        let instance = try TabularInstance.random(vocabularySize: 3, maximumLength: 3, seed: 9)
        let again = try TabularInstance(json: instance.json())
        let one = ExactSolver(instance).methods()
        let other = ExactSolver(again).methods()
        #expect(Set(one.keys) == Set(ExactSolver.names) && one.keys == other.keys)
        for (name, method) in one {
            #expect(abs(method.expectedReward - (try #require(other[name]).expectedReward)) < 1e-12)
        }
    }

    static let broken: [(change: (String, String), sentence: String)] = [
        (("\"\": [0.5, 0.5]", "\"\": [0.5, 0.4]"), "reference \"\" sums to 0.9"),
        (("\"1\": [0.5, 0.5]", "\"1\": [1.5, -0.5]"), "reference \"1\" holds 1.5"),
        (("\"1\": [0.5, 0.5]", "\"1\": [-0.5, 1.0]"), "reference \"1\" holds -0.5"),
        (("\"1\": [0.5, 0.5]", "\"1\": [1]"), "reference \"1\" has 1 probabilities"),
        ((", \"1\": [0.5, 0.5]", ""), "reference has no entry for \"1\""),
        (("\"1,1\": 0}", "\"1,1\": 0, \"0,1\": 3}"), "\"0,1\", which goes on after the end token"),
        (("\"1,1\": 0}", "\"1,1\": 0, \"1\": 3}"), "\"1\", which is not a complete response"),
        (("\"1,1\": 0}", "\"1,1\": 0, \"1,7\": 3}"), "holds the token 7 outside the vocabulary"),
        (("\"1,1\": 0}", "\"1,1\": 0, \"x\": 3}"), "the key \"x\", which is no list of token ids"),
        (("\"1,0\": 1, ", ""), "reward has no entry for \"1,0\""),
        (
            ("\"vocabularySize\": 2, \"maxLength\": 2", "\"vocabularySize\": 10, \"maxLength\": 9"),
            "exact solving stops"
        ),
        (
            ("\"vocabularySize\": 2, \"maxLength\": 2", "\"vocabularySize\": 1000, \"maxLength\": 3"),
            "exact solving stops"
        ),
        (("\"maxLength\": 2", "\"maxLength\": 0"), "maxLength must be at least 1"),
        (("\"maxLength\": 2", "\"maxLength\": 9223372036854775807"), "maxLength must be at most 1000000"),
        (("\"maxLength\": 2", "\"maxLength\": 30000"), "exact solving stops"),
        (("\"endToken\": 0", "\"endToken\": 3000000000"), "endToken must be a token id below 2"),
        (("\"alpha\": 0.7213475204444817", "\"alpha\": 1e-20"), "alpha must be a finite number of at least 1e-9"),
        (("\"1,0\": 1,", "\"1,0\": 1e12,"), "reward \"1,0\" is 1000000000000.0"),
        (("\"endToken\": 0", "\"endToken\": 5"), "endToken must be a token id below 2"),
        (("\"beta\": 1.4426950408889634", "\"beta\": 0"), "beta must be a finite number of at least 1e-9"),
        (("\"bestOf\": 2", "\"bestOf\": 0"), "bestOf must be at least 1"),
        (("\"alpha\": 0.7213475204444817, ", ""), "the key \"alpha\" is missing"),
        (("\"reward\": {", "\"reward\": [{"), "is not valid JSON, or a number"),
        (("\"1,0\": 1", "\"1,0\": \"one\""), "\"reward\" \"1,0\" has the wrong kind of value"),
        (("\"prefixReward\": {\"1\": 1}", "\"prefixReward\": {\"1,0\": 1}"), "not an unfinished one"),
    ]

    @Test(arguments: broken.indices)
    func brokenInstancesAreRefusedAtOnce(index: Int) throws {
        let (change, sentence) = Self.broken[index]
        let json = Self.twoSteps.replacingOccurrences(of: "\n ", with: " ")
            .replacingOccurrences(of: change.0, with: change.1)
        #expect(json != Self.twoSteps.replacingOccurrences(of: "\n ", with: " "))
        let clock = ContinuousClock()
        let start = clock.now
        let error = #expect(throws: TabularError.self) { try TabularInstance(json: Data(json.utf8)) }
        #expect(clock.now - start < .seconds(1))
        #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
    }
}
