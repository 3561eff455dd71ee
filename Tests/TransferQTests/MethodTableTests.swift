import Testing
import TransferQ
import TransferQTheory

@Suite struct MethodTableTests {
    @Test func everyMethodBuildsWithItsDefaults() throws {
        let names = DecodingMethods.table.map { $0.name }
        #expect(Set(names).count == names.count)
        for name in names { #expect(try DecodingMethods.make(name).name == name) }
    }

    static let bad: [(String, [String: ParameterValue], String)] = [
        ("transfer-q", ["k": 0], "k must be a whole number of at least 1, not 0"),
        ("transfer-q", ["horizon": 0], "horizon must be a whole number of at least 1, not 0"),
        ("transfer-q", ["alpha": 0], "alpha must be a finite number above 0, not 0"),
        ("transfer-q", ["alpha": -1.5], "alpha must be a finite number above 0, not -1.5"),
        ("transfer-q", ["alpha": .number(.nan)], "alpha must be a finite number above 0, not nan"),
        ("transfer-q", ["alpha": .number(.infinity)], "alpha must be a finite number above 0, not inf"),
        ("transfer-q", ["tilt": "nobody"], "tilt must be one of reference, baseline, not nobody"),
        ("transfer-q", ["rollouts": 4, "rollout-temperature": 0], "because greedy rollouts are all alike"),
        ("transfer-q", ["top-k": 3], "the method transfer-q has no parameter top-k"),
        ("greedy", ["k": 3], "the method greedy has no parameter k"),
        ("sample", ["top-p": 0], "top-p must be above 0 and at most 1, not 0"),
        ("sample", ["temperature": -1], "temperature must be 0 or a finite number"),
        ("best-of-n", ["n": 0], "n must be a whole number of at least 1, not 0"),
        ("best-of-n", ["temperature": 0], "because greedy responses are all alike"),
        ("beam", [:], "there is no method 'beam'; choose one of greedy, sample"),
    ]

    @Test(arguments: bad.indices)
    func badParametersAreRefusedInASentence(index: Int) {
        let (name, parameters, sentence) = Self.bad[index]
        let error = #expect(throws: TransferQError.self) { try DecodingMethods.make(name, parameters) }
        #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
    }

    @Test func parametersAreSharedByTheMethodsThatKnowThem() throws {
        let methods = try DecodingMethods.make(["sample", "transfer-q"], sharing: ["k": 3, "top-p": 0.5])
        func value(_ method: ConfiguredMethod, _ name: String) -> ParameterValue? {
            method.parameters.first { $0.name == name }?.value
        }
        #expect(value(methods[0], "top-p") == .number(0.5))
        #expect(value(methods[1], "k") == .integer(3))
        #expect(throws: TransferQError.self) { try DecodingMethods.make(["sample"], sharing: ["k": 3]) }
    }

    @Test func tasksThatAMethodCannotDoAreRefused() throws {
        let policy = TabularPolicy.random(vocabularySize: 3, maximumLength: 2, endToken: nil, seed: 1)
        let other = TabularPolicy.random(vocabularySize: 4, maximumLength: 2, endToken: nil, seed: 1)
        let task = try DecodingTask(reference: policy, maximumLength: 2)
        let method = try DecodingMethods.make("transfer-q").method
        #expect(throws: TransferQError.missingReward(method: "transfer-q")) {
            try Generation(task: task, method: method)
        }
        let rewarded = try DecodingTask(reference: policy, reward: TabularReward.random(seed: 1), maximumLength: 2)
        let error = #expect(throws: TransferQError.self) { try Generation(task: rewarded, method: method) }
        #expect(error?.description == "k must be at most the vocabulary's 3 tokens, not 10")
        #expect(throws: TransferQError.self) { try DecodingTask(reference: policy, maximumLength: 0) }
        #expect(throws: TransferQError.vocabulariesDiffer(reference: "3 tokens", baseline: "4 tokens")) {
            try DecodingTask(reference: policy, baseline: other, maximumLength: 2)
        }
    }
}
