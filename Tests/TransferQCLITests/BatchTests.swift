import Foundation
import TestSupport
import Testing
import TransferQLlama
import TransferQRewards

/// `generate --batch` and value heads as a user runs them.
@Suite(.serialized) struct BatchTests {
    private let program: SharpProgram
    private let prompts: String

    private var folder: TemporaryFolder { program.folder }

    init() throws {
        program = try SharpProgram()
        prompts = program.folder.file("prompts.jsonl").path
        let lines = ["Name a river.", "Say hello.", "What is rain?", "Count to five.", "Describe a market."].map {
            "{\"prompt\": \"\($0)\"}\n"
        }
        try Data(lines.joined().utf8).write(to: folder.file("prompts.jsonl"))
    }

    private struct Answer: Decodable, Equatable {
        struct Usage: Decodable, Equatable { let rolloutTokens: Int }

        let prompt: Int
        let response: String
        let reward: Double?
        let kl: Double?
        let klBoundOverSkippedValues: Double?
        let klBoundOfMethod: Double?
        let klOfPointMass: Double?
        /// Nil where approximations left too much unknown.
        var nats: Double? { kl ?? klBoundOverSkippedValues ?? klBoundOfMethod ?? klOfPointMass }
        let seed: UInt64
        let approximations: [String]
        let usage: Usage
    }

    private func answers(_ text: String) throws -> [Answer] {
        try text.split(separator: "\n").map { try JSONDecoder().decode(Answer.self, from: Data($0.utf8)) }
    }

    private func run(_ more: [String]) throws -> ProgramRun {
        try program.run(
            [
                "generate", "--batch", prompts, "--reward", "length:6", "--baseline-system", "You are brief.",
                "--alpha", "0.2", "--k", "3", "--horizon", "3", "--max-tokens", "6", "--seed", "4", "--format", "json",
            ] + more)
    }

    private static let rollouts = ["--k", "3", "--horizon", "3", "--alpha", "0.05", "--choice", "sample"]
    private static let steered = ["--method", "transfer-q"] + rollouts

    @Test(arguments: [
        steered, steered + ["--rollouts", "3"], steered + ["--tilt", "baseline", "--baseline-system", "You are kind."],
        steered + ["--choice", "greedy"], steered + ["--blockwise", "2"], steered + ["--kl-budget", "3"],
        steered + ["--confidence", "0.9"],
        ["--method", "transfer-q-indirect", "--rollouts", "2", "--baseline-system", "You are kind."] + rollouts,
        ["--method", "transfer-q-soft", "--rollouts", "2", "--baseline-system", "You are kind."] + rollouts,
        ["--method", "cd"] + rollouts, ["--method", "args", "--k", "3"], ["--method", "greedy"],
        ["--method", "sample"],
        ["--method", "best-of-n", "-n", "3"],
    ])
    func answersEqualThoseOfOneByOne(method: [String]) throws {
        try compare(method, prompts: 5) { try program.run($0) }
    }

    /// The demonstration model in 32 bits, where the shape of a batch tells next to nothing.
    @Test func answersOfTheRealModelEqualThoseOfOneByOne() throws {
        try compare(Self.steered, prompts: 2) { try ProgramRun.run($0 + ["--model", "smollm2-135m-instruct@f32"]) }
    }

    private func compare(_ method: [String], prompts count: Int, run: ([String]) throws -> ProgramRun) throws {
        let common = ["--reward", "length:6", "--max-tokens", "6"]
        func answers(_ parallel: String) throws -> [Answer] {
            let run = try run(
                [
                    "generate", "--batch", prompts, "--limit", "\(count)", "--seed", "4", "--format", "json",
                    "--parallel", parallel,
                ] + common + method)
            #expect(run.status == 0, "\(run.complaints)")
            return try self.answers(run.output)
        }
        let (together, alone) = (try answers("5"), try answers("1"))
        #expect(together.map(\.prompt) == Array(0..<count))
        #expect(together.map(\.response) == alone.map(\.response))
        #expect(together.map(\.usage) == alone.map(\.usage))
        for (one, other) in zip(together, alone) {
            #expect(one.reward == other.reward && one.seed == 4)
            #expect((one.nats == nil) == (other.nats == nil))
            #expect(abs((one.nats ?? 0) - (other.nats ?? 0)) < 1e-3)
        }
        // And those of generate itself.
        let single = try run(["generate", "Say hello.", "--seed", "4", "--format", "json"] + common + method)
        #expect(try single.answer().response == together[1].response)
    }

    @Test func aCutRunGoesOnWithoutLosingOrRepeatingAnAnswer() throws {
        let output = folder.file("answers.jsonl")
        let arguments = ["--output", output.path, "--parallel", "2"]
        let whole = try run(arguments)
        #expect(whole.status == 0 && whole.output.isEmpty, "\(whole.complaints)")
        let lines = try String(contentsOf: output, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(try answers(lines.joined(separator: "\n")).map(\.prompt) == [0, 1, 2, 3, 4])
        // As a killed run leaves it: two answers, and a part of a third.
        try Data((lines[0] + "\n" + lines[1] + "\n" + lines[2].prefix(30)).utf8).write(to: output)
        let rest = try run(arguments)
        #expect(rest.status == 0 && rest.complaints.contains("2 answers are there already"), "\(rest.complaints)")
        let all = try answers(String(contentsOf: output, encoding: .utf8))
        #expect(all.map(\.prompt) == [0, 1, 2, 3, 4])
        #expect(all.map(\.response) == (try answers(lines.joined(separator: "\n"))).map(\.response))
        // Nothing is left to do.
        #expect(try run(arguments).status == 0)
        #expect(try answers(String(contentsOf: output, encoding: .utf8)).count == 5)
        let others = try run(arguments + ["--width", "7"])
        #expect(others.status == 64 && others.complaints.contains("other settings"))
    }

    @Test func valueHeadsAreFittedToTracesAndTakeThePlaceOfRollouts() throws {
        let (trace, head) = (folder.file("trace.jsonl").path, folder.file("value.json").path)
        let models = ["--baseline-system", "You are brief."]
        let traced = try program.run(
            ["generate", "--batch", prompts, "--reward", "length:6", "--k", "4", "--horizon", "3", "--alpha", "0.3"]
                + ["--max-tokens", "5", "--tilt", "baseline", "--without", "prune", "--trace", trace] + models)
        #expect(traced.status == 0, "\(traced.complaints)")
        let states = try ValueTrace(trace).states
        #expect(Set(states.map(\.prompt)) == [0, 1, 2, 3, 4])
        #expect(states.allSatisfy { $0.values.count == 4 && !$0.conversation.isEmpty })
        let fitted = try program.run(
            ["value", "fit", trace, "--tilt", "baseline", "--output", head] + models)
        #expect(fitted.status == 0 && fitted.output.contains("explains"), "\(fitted.complaints)")
        let read = try LinearValueHead.read(head)
        #expect(read.system == "You are brief." && read.training.states == states.count)
        // The same traces give the same file.
        let again = folder.file("again.json").path
        _ = try program.run(["value", "fit", trace, "--tilt", "baseline", "--output", again] + models)
        #expect(try Data(contentsOf: folder.file("again.json")) == Data(contentsOf: folder.file("value.json")))

        let steered = [
            "generate", "Say hello.", "--k", "4", "--alpha", "0.05", "--max-tokens", "6", "--format", "json",
        ]
        let value = ["--tilt", "baseline", "--value", "head:\(head)"] + models
        let run = try program.run(steered + value)
        #expect(run.status == 0, "\(run.complaints)")
        let answer = try JSONDecoder().decode(Partial.self, from: Data(run.output.utf8))
        #expect(answer.approximations == ["value head:\(head)"] && answer.usage.rolloutTokens == 0)
        #expect(answer.usage.readTokens > 0 && answer.reward == nil)
        // Of another policy its values mean nothing.
        let strange = try program.run(steered + ["--value", "head:\(head)"])
        #expect(strange.status == 0 && strange.complaints.contains("was fitted under the system prompt"))
        var other = read
        other.backbone.sha256 = "0"
        try other.write(to: again)
        let refused = try program.run(steered + ["--value", "head:\(again)"])
        #expect(refused.status == 1 && refused.complaints.contains("it was fitted on states of"))
    }

    private struct Partial: Decodable {
        struct Usage: Decodable {
            let rolloutTokens: Int
            let readTokens: Int
        }

        let approximations: [String]
        let reward: Double?
        let usage: Usage
    }

    @Test(arguments: [
        (["generate", "--batch", "nowhere.jsonl"], Int32(1), "there is no such file"),
        (["generate", "hi", "--batch", "p.jsonl"], 64, "--batch goes without another prompt"),
        (["generate", "hi", "--parallel", "3"], 64, "go with --batch FILE"),
        (["generate", "--batch", "p.jsonl", "--parallel", "0"], 64, "--parallel must be between 1 and 32"),
        (["generate", "--batch", "p.jsonl", "--limit", "-1"], 64, "--limit"),
        (["generate", "hi", "--value", "head:nowhere.json"], 1, "nowhere.json cannot be used"),
        (["generate", "hi", "--value", "nowhere.json"], 64, "--value must be head:FILE"),
        (
            ["generate", "hi", "--method", "args", "--reward", "length:4", "--value", "head:v.json"], 64,
            "--value is for"
        ),
        (["value", "fit", "nowhere.jsonl", "--output", "v.json"], 1, "there is no such file"),
        (["value", "fit", "t.jsonl", "--output", "t.jsonl"], 64, "would overwrite the trace"),
        (["value", "fit", "t.jsonl", "--output", "v.json", "--pooling", "end"], 64, "--pooling must be"),
    ])
    func badRequestsGetASentence(arguments: [String], status: Int32, complaint: String) throws {
        let run = try ProgramRun.run(arguments, folder: folder.url)
        #expect(run.status == status && run.complaints.contains(complaint), "\(run.status): \(run.complaints)")
        #expect(run.output.isEmpty)
    }

    @Test func damagedTracesAreNamedByLine() throws {
        func fit(_ text: String) throws -> ProgramRun {
            try Data(text.utf8).write(to: folder.file("t.jsonl"))
            return try program.run(["value", "fit", "t.jsonl", "--output", "v.json"], folder: folder.url)
        }
        let first =
            #"{"prompt":0,"step":0,"conversation":[{"role":"user","content":"hi"}],"tokens":[5],"candidates":"#
            + #"[{"tokens":[5],"value":1},{"tokens":[6],"value":2}]}"# + "\n"
        for (text, complaint) in [
            ("", "no state has two candidates"), (first + "{\n", "line 2: this is no line of a trace"),
            (first.replacing("\"step\":0", with: "\"step\":1"), "whose first step is missing"),
            (first.replacing("\"tokens\":[6]", with: "\"tokens\":[99999999]"), "99999999"),
            (first, "at least 2; trace more prompts"),
        ] {
            let run = try fit(text)
            #expect(run.status != 0 && run.complaints.contains(complaint), "\(complaint): \(run.complaints)")
            #expect(run.complaints.split(separator: "\n").count <= 2)
        }
    }
}
