import Foundation
import Testing
import TransferQ
import TransferQRuntime

/// Requests as values with one JSON form each.
@Suite struct SpecificationTests {
    private func decoded<Value: Decodable>(_ text: String, as type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }

    /// The JSON examples of the doc comments: the lines behind `JSON:` that are indented like code.
    private static let examples: [String] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/TransferQRuntime/Specifications")
        let files = ["ModelSpec", "RewardSpec", "MethodSpec", "AnswerRequest"]
        return files.flatMap { name -> [String] in
            let source = try? String(contentsOf: folder.appending(path: "\(name).swift"), encoding: .utf8)
            var (examples, current) = ([String](), "")
            let lines = (source ?? "").split(separator: "\n", omittingEmptySubsequences: false)
            for line in lines {
                if let code = line.wholeMatch(of: /\/\/\/     (.*)/)?.1 {
                    current += code
                } else if !current.isEmpty {
                    examples.append(current)
                    current = ""
                }
            }
            return examples
        }
    }()

    @Test func theDocumentedExamplesDecode() throws {
        let examples = Self.examples
        try #require(examples.count == 5)
        #expect(try decoded(examples[0], as: ModelSpec.self).name == "smollm2-135m-instruct@f32")
        let baseline: BaselineSpec = try decoded(examples[1])
        #expect(baseline.model?.name == "kind.gguf" && baseline.system == "You are kind." && baseline.adapter == nil)
        #expect(try decoded(examples[2], as: RewardSpec.self).terms == ["head:Rewards/harmless.json", "length:30:0.5"])
        let method: MethodSpec = try decoded(examples[3])
        #expect(method.name == "transfer-q" && method.parameters["k"] == .integer(10))
        #expect(method.parameters["alpha"] == .number(0.5) && method.parameters["tilt"] == .text("baseline"))
        let request: AnswerRequest = try decoded(examples[4])
        #expect(request.messages == [Message(role: "user", content: "How do I make tea?")])
        #expect(request.scoring.reward?.terms == ["length:30"] && request.limits.maximumTokens == 64)
        #expect(request.seed == 1 && request.form == .chat)
    }

    @Test func requestsSurviveJSON() throws {
        let request = try AnswerRequest(
            messages: [Message(role: "system", content: "Be brief."), Message(role: "user", content: "Hi \"you\"")],
            form: .rawWithMarkers, method: MethodSpec("cd", ["alpha": 0.25, "k": 3, "choice": "sample", "race": "on"]),
            scoring: ScoringSpec(
                reward: RewardSpec(["length:3"]), baselineReward: RewardSpec(["regex:a", "length:2:0.5"]),
                valueHead: "v.json", confidenceCalibration: "c.json"),
            limits: AnswerLimits(
                maximumTokens: 7, budget: DecodingTask.Budget(seconds: 1.5, tokens: 90), stop: ["\n\n", "User:"]),
            seed: .max)
        let data = try JSONEncoder().encode(request)
        #expect(try JSONDecoder().decode(AnswerRequest.self, from: data) == request)
        // One level, so that a line of a file is easily written by hand.
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["maxTokens"] as? Int == 7 && object["reward"] as? [String] == ["length:3"])
    }

    @Test func whatIsLeftOutTakesItsDefault() throws {
        let plain: AnswerRequest = try decoded(#"{"messages": [{"role": "user", "content": "Hi"}]}"#)
        #expect(plain.method.name == "sample" && plain.limits.maximumTokens == 128 && plain.seed == 0)
        let guided: AnswerRequest = try decoded(
            #"{"messages": [{"role": "user", "content": "Hi"}], "reward": ["length:3"]}"#)
        #expect(guided.method.name == "transfer-q")
        let race: MethodSpec = try decoded(#"{"name": "cd", "race": true}"#)
        #expect(race.parameters["race"] == .text("on"))
    }

    @Test(arguments: [
        (#"{"messages": [{"role": "user", "content": " "}]}"#, "nobody says anything"),
        (#"{"messages": [{"role": "user", "content": "a"}], "maxtokens": 3}"#, "\"maxtokens\" is not known"),
        (#"{"messages": [{"role": "user", "content": "a"}], "maxTokens": 0}"#, "max-tokens must be at least 1"),
        (#"{"messages": [{"role": "user", "content": "a"}], "timeBudget": -1}"#, "time-budget must be"),
        (#"{"messages": [{"role": "user", "content": "a"}], "reward": []}"#, "at least one term"),
        (#"{"messages": [{"role": "user", "content": "a"}], "method": {"name": "magic"}}"#, "no method 'magic'"),
        (
            #"{"messages": [{"role": "user", "content": "a"}], "method": {"name": "cd", "k": 0}}"#,
            "k must be a whole number of at least 1"
        ),
        (
            #"{"messages": [{"role": "user", "content": "a"}], "method": {"name": "cd", "beam": 1}}"#,
            "no parameter beam"
        ),
    ])
    func whatCannotBeIsRefusedInASentence(text: String, sentence: String) throws {
        let error = #expect(throws: (any Error).self) { try decoded(text, as: AnswerRequest.self) }
        #expect("\(try #require(error))".contains(sentence), "\(String(describing: error))")
    }

    @Test func baselinesAreOneThing() throws {
        #expect(throws: RuntimeError.self) { try BaselineSpec() }
        #expect(throws: RuntimeError.self) { try BaselineSpec(model: ModelSpec("a.gguf"), adapter: "b.gguf") }
        #expect(throws: RuntimeError.self) { try decoded("{}", as: BaselineSpec.self) }
        let both = try BaselineSpec(model: ModelSpec("a.gguf"), system: "Be kind.")
        #expect(try JSONDecoder().decode(BaselineSpec.self, from: JSONEncoder().encode(both)) == both)
    }
}
