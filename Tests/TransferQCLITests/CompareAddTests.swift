import Foundation
import TestSupport
import Testing

/// A finished comparison takes more methods, seeds and orders, with a tiny model.
@Suite struct CompareAddTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        let prompts = ["I lost my job.", "I failed my exam.", "I broke a window."].map { "{\"prompt\": \"\($0)\"}\n" }
        try Data(prompts.joined().utf8).write(to: folder.file("p3.jsonl"))
    }

    private func compare(_ methods: String, _ more: [String] = []) throws -> ProgramRun {
        try ProgramRun.run(
            [
                "compare", "--methods", methods, "--prompts", "p3.jsonl", "--model", "tiny.gguf", "--reward",
                "length:3", "--k", "2", "--horizon", "2", "--max-tokens", "3", "--output", "o.run",
            ] + more, folder: folder.url)
    }

    private func lines() throws -> [Substring] {
        try String(contentsOf: folder.file("o.run/answers.jsonl"), encoding: .utf8).split(separator: "\n")
    }

    /// The columns of the table of means.
    private func methods(_ table: String) -> [Substring] {
        let head = table.split(separator: "\n").first { $0.contains("95 % interval") } ?? ""
        return (head.split(separator: "interval").last ?? "").split(separator: " ")
    }

    @Test func answersOfNewMethodsAreAdded() throws {
        let first = try compare("sample,transfer-q")
        #expect(first.status == 0, "\(first.complaints)")
        let kept = try lines()
        #expect(kept.count == 6)
        let second = try compare("sample,transfer-q,cd")
        #expect(second.status == 0 && second.complaints.contains("6 answers are there"), "\(second.complaints)")
        #expect(try lines().count == 9 && lines().prefix(6) == kept[...])
        #expect(methods(second.output) == ["sample", "transfer-q", "cd"])
        // Another order only lays the table out differently.
        let other = try compare("cd,sample")
        #expect(other.status == 0 && methods(other.output) == ["cd", "sample"], "\(other.complaints)")
        #expect(try lines().count == 9)
        // Answers of another seed stand beside the others.
        let seed = try compare("sample,cd", ["--seed", "7"])
        #expect(seed.status == 0 && methods(seed.output) == ["sample", "cd"], "\(seed.complaints)")
        #expect(try lines().count == 15)
        // The table covers all seeds, each prompt being one cluster.
        let all = try compare("sample,transfer-q,cd")
        #expect(methods(all.output) == ["sample", "transfer-q", "cd"], "\(all.complaints)")
        #expect(try lines().count == 15)
    }

    /// Methods with parameters of their own, several baselines and seeds, and a reward that guides nothing.
    @Test func variantsAreComparedInOneRun() throws {
        let run = try compare(
            "greedy,greedy[policy=baseline,baseline=kind],transfer-q[tilt=baseline,alpha=0.5,baseline=rude]",
            [
                "--seeds", "1,2", "--gold", "short=length:1", "--named-baseline", "kind={\"system\": \"Be kind.\"}",
                "--named-baseline", "rude={\"system\": \"Be rude.\"}", "--format", "json",
            ])
        #expect(run.status == 0, "\(run.complaints)")
        #expect(try lines().count == 18)
        struct Table: Decodable {
            struct Row: Decodable {
                struct Cell: Decodable { let answers: Int }
                let method: String
                let cells: [String: Cell]
            }
            let rows: [Row]
        }
        let table = try JSONDecoder().decode(Table.self, from: Data(run.output.utf8))
        #expect(
            table.rows.map(\.method) == [
                "greedy", "greedy[policy=baseline,baseline=kind]", "transfer-q[tilt=baseline,alpha=0.5,baseline=rude]",
            ])
        #expect(table.rows.allSatisfy { $0.cells["gold:short"]?.answers == 6 })
        for (methods, more, what) in [
            ("greedy,cd", ["--gold", "short"], "NAME=VALUE"), ("greedy,cd", ["--gold", "short=long:1"], "gold short"),
            ("greedy,cd", ["--seeds", "1,x"], "whole numbers"), ("cd,cd", [], "another label"),
            ("greedy,cd", ["--named-baseline", "a={}"], "baseline"), ("greedy[k=3]", [], "k"),
            ("greedy", ["--k", "3"], "k"),
        ] {
            let run = try compare(methods, more + (methods == "greedy" ? [] : ["--output", folder.file("x.run").path]))
            #expect(run.status == 64 && run.complaints.contains(what), "\(methods) \(more): \(run.complaints)")
        }
    }

    @Test func answersOfOtherSettingsAreRefused() throws {
        #expect(try compare("sample,transfer-q").status == 0)
        let kept = try lines()
        for (methods, more, what) in [
            ("sample,transfer-q", ["--alpha", "0.3"], "alpha"), ("cd", ["--max-tokens", "4"], "longest answer"),
            ("cd", ["--reward", "length:4", "--seed", "3"], "reward"),
        ] {
            let run = try compare(methods, more)
            #expect(run.status == 64 && run.complaints.contains(what), "\(run.complaints)")
        }
        #expect(try lines() == kept)
    }
}
