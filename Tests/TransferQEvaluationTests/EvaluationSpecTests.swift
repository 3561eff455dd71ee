import Foundation
import Testing
import TransferQ
import TransferQEvaluation
import TransferQRuntime

@Suite struct EvaluationSpecTests {
    private func spec(_ json: String) throws -> EvaluationSpec {
        try EvaluationSpec(json: Data(json.utf8), path: "e.json")
    }

    private func complaint(_ json: String) -> String {
        do {
            _ = try spec(json)
            return ""
        } catch { return "\(error)" }
    }

    private let prompts = #""prompts": {"file": "p.jsonl"}"#

    @Test func shortFormsAreRead() throws {
        let entry = try MethodEntry(parsing: "transfer-q[alpha=0.5, k=4, without=prune,reuse, baseline=dpo, race=true]")
        #expect(entry.label == "transfer-q[alpha=0.5,k=4,without=prune,reuse,baseline=dpo,race=true]")
        #expect(entry.baseline == "dpo" && entry.method.name == "transfer-q")
        #expect(
            entry.method.parameters == ["alpha": 0.5, "k": 4, "without": "prune,reuse", "race": "on"])
        #expect(try MethodEntry(parsing: " greedy ").label == "greedy")
        let list = try MethodEntry.list("greedy,transfer-q[alpha=1,tilt=baseline],args")
        #expect(list.map(\.label) == ["greedy", "transfer-q[alpha=1,tilt=baseline]", "args"])
        for text in [
            "", "[a=1]", "greedy[", "greedy[x]", "transfer-q[k=1,k=2]", "transfer-q[nothing=1]", "none", "a b",
        ] {
            #expect(throws: (any Error).self, "\(text)") { try MethodEntry(parsing: text) }
        }
    }

    @Test func aWholeOneIsReadAndWritten() throws {
        let first = try spec(
            """
            {\(prompts), "model": "m", "baselines": {"kind": {"system": "You are kind."}}, "reward": "length:30",
             "gold": {"long": ["length:60"]}, "parameters": {"k": 3, "horizon": 4},
             "methods": ["greedy", {"name": "cd", "alpha": 0.5, "k": 5, "seeds": [0]}, "transfer-q"], "seeds": [0, 1],
             "limits": {"maxTokens": 8}, "metrics": ["repetition"], "reference": "greedy",
             "judge": {"model": "j", "endpoint": "http://localhost:1/v1"}, "traces": true}
            """)
        #expect(first.methods.map(\.label) == ["greedy", "cd[alpha=0.5,k=5]", "transfer-q"])
        #expect(first.methods[1].method.parameters == ["alpha": 0.5, "k": 5, "horizon": 4])
        #expect(first.methods[2].method.parameters == ["k": 3, "horizon": 4])
        #expect(first.methods[0].method.parameters.isEmpty)
        #expect(first.seeds(of: first.methods[1]) == [0] && first.seeds(of: first.methods[0]) == [0, 1])
        #expect(try first.baseline(of: first.methods[2]) == "kind")
        #expect(try first.baseline(of: first.methods[0]) == nil)
        #expect(first.scoring.reward?.terms == ["length:30"])
        let again = try spec(JSON.line(first))
        #expect(again == first)
    }

    @Test func rangesOfPromptsAreRead() throws {
        let one = try spec(#"{"prompts": {"file": "p", "range": "10..49"}, "methods": ["greedy"]}"#)
        #expect(one.prompts.offset == 10 && one.prompts.limit == 40)
        for range in ["49..10", "1-2", "..", "-1..2"] {
            #expect(
                complaint(#"{"prompts": {"file": "p", "range": "\#(range)"}, "methods": ["greedy"]}"#).contains("range")
            )
        }
    }

    @Test func faultsAreNamed() {
        let faults: [(String, String)] = [
            (#"{"methods": ["greedy"]}"#, "prompts is missing"),
            ("{\(prompts)}", "methods is missing"),
            (#"{\#(prompts), "methods": []}"#, "at least one"),
            (#"{\#(prompts), "methods": ["greedy", "greedy"]}"#, "two are called \"greedy\""),
            (#"{\#(prompts), "methods": ["greedy"], "referense": "x"}"#, "\"referense\" is not known"),
            (#"{\#(prompts), "methods": ["greedy"], "reference": "x"}"#, "no method is called \"x\""),
            (#"{\#(prompts), "methods": ["greedy"], "seeds": []}"#, "seeds"),
            (#"{\#(prompts), "methods": ["greedy"], "seeds": [1, 1]}"#, "none twice"),
            (#"{\#(prompts), "methods": ["greedy"], "parameters": {"kk": 3}}"#, "no method knows kk"),
            (#"{\#(prompts), "methods": ["transfer-q[alpha=-1]"]}"#, "alpha"),
            (#"{\#(prompts), "methods": ["transfer-q[baseline=x]"]}"#, "names the baseline \"x\""),
            (
                #"{\#(prompts), "methods": ["transfer-q"], "baselines": {"a": {"system": "A"}, "b": {"system": "B"}}}"#,
                "transfer-q[baseline=a]"
            ),
            (#"{\#(prompts), "methods": ["greedy"], "judge": {"model": "j"}}"#, "at least two"),
            (
                #"{\#(prompts), "methods": ["greedy", "args"], "judge": {"model": "j", "endpoint": "nowhere"}}"#,
                "http://localhost:8000/v1"
            ),
            (#"{\#(prompts), "methods": ["greedy"], "limits": {"maxTokens": 0}}"#, "max-tokens"),
            (#"{"prompts": {"file": "p", "limit": 0}, "methods": ["greedy"]}"#, "limit must be at least 1"),
        ]
        for (json, part) in faults { #expect(complaint(json).contains(part), "\(json): \(complaint(json))") }
    }

    @Test func shardsShareOutEveryPromptOnce() throws {
        let shards = try (1...3).map { try Shard(parsing: "\($0)/3") }
        for prompt in 0..<10 { #expect(shards.count { $0.contains(prompt: prompt) } == 1) }
        for text in ["0/3", "4/3", "1", "a/b", "1/0", ""] {
            #expect(throws: EvaluationError.self) { try Shard(parsing: text) }
        }
    }
}
