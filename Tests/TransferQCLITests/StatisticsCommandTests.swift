import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQEvaluation

/// Statistics as the program prints them, on a tiny model of the tests' own.
@Suite(.serialized) struct StatisticsCommandTests {
    private struct Workshop {
        let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            try ModelWriter.tinyModel(to: folder.file("tiny.gguf"))
        }

        func path(_ name: String) -> String { folder.file(name).path }

        func write(_ text: String, _ name: String) throws -> String {
            try text.write(to: folder.file(name), atomically: true, encoding: .utf8)
            return path(name)
        }

        func run(_ arguments: [String]) throws -> ProgramRun {
            try ProgramRun.run(arguments, environment: ["TRANSFERQ_CACHE": path("cache")], folder: folder.url)
        }

        func generate(_ more: [String]) throws -> ProgramRun {
            try run(
                ["generate", "tell me", "--model", path("tiny.gguf"), "--reward", "length:5", "--max-tokens", "4"]
                    + more)
        }
    }

    @Test func eachKindOfKLHasItsNameAndWords() throws {
        let shop = try Workshop()
        let search = ["--k", "3", "--horizon", "2"]
        for (options, name, words) in [
            (["--method", "greedy"], "klOfPointMass", "nats as point mass"),
            (["--method", "best-of-n", "-n", "3"], "klBoundOfMethod", "nats by the method's bound"),
            (
                ["--alpha", "50", "--choice", "sample"] + search, "klBoundOverSkippedValues",
                "values left out being unknown"
            ),
            (["--without", "all", "--choice", "sample"] + search, "kl", " nats · "),
            (["--choice", "greedy"] + search, "klOfPointMass", "nats as point mass"),
        ] {
            let json = try shop.generate(options + ["--format", "json"])
            #expect(json.status == 0, "\(json.complaints)")
            let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            #expect(object[name] is NSNumber, "\(options)")
            for other in ["kl", "klBoundOverSkippedValues", "klBoundOfMethod", "klOfPointMass"] where other != name {
                #expect(object[other] is NSNull, "\(options): \(other)")
            }
            let text = try shop.generate(options)
            #expect(text.complaints.contains(words) && !text.complaints.contains("≤"), "\(text.complaints)")
        }
        let table = try shop.run(
            ["compare", "tell me", "--model", shop.path("tiny.gguf"), "--reward", "length:5", "--max-tokens", "4"]
                + ["--methods", "greedy,best-of-n"])
        #expect(table.output.contains("(point mass)") && table.output.contains("(method's bound)"), "\(table.output)")
    }

    @Test func checksAreReportedWithTheirInterval() throws {
        let shop = try Workshop()
        let options = [
            "--k", "4", "--horizon", "2", "--alpha", "0.5", "--confidence", "0.6", "--audit", "1", "--choice", "greedy",
            "--max-tokens", "24",
        ]
        let text = try shop.generate(options)
        #expect(text.status == 0, "\(text.complaints)")
        // Which model and reward the calibration is of.
        #expect(text.complaints.contains("SmolLM2-135M") && text.complaints.contains("transferq value confidence"))
        #expect(text.complaints.contains("checked steps failed (95 %: "), "\(text.complaints)")
        let json = try shop.generate(options + ["--format", "json"])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
        let search = try #require(object["search"] as? [String: Any])
        let rate = try #require(search["auditMissRate"] as? [String: Any])
        #expect(rate["count"] as? Int == search["audited"] as? Int && rate["high"] is NSNumber)
        #expect((object["method"] as? [String: Any])?["confidence-calibration"] is String)
    }

    /// A trace, what it tells, and an answer that goes by it.
    @Test func confidenceIsCalibratedOnATrace() throws {
        let shop = try Workshop()
        let prompts = try shop.write(
            (0..<6).map { "{\"prompt\": \"say \(["a", "b", "c", "d", "e", "f"][$0])\"}" }.joined(separator: "\n"),
            "prompts.jsonl")
        let common = ["--model", shop.path("tiny.gguf"), "--reward", "z:0.5,0.3:length:5", "--alpha", "0.5"]
        let traced = try shop.run(
            ["generate", "--batch", prompts, "--k", "4", "--horizon", "3", "--without", "all", "--choice", "greedy"]
                + ["--max-tokens", "16", "--trace", shop.path("trace.jsonl"), "--output", shop.path("out.jsonl")]
                + common)
        #expect(traced.status == 0, "\(traced.complaints)")
        let measured = try shop.run([
            "value", "confidence", shop.path("trace.jsonl"), "--alpha", "0.5", "--output", shop.path("confidence.json"),
            "--source", "a tiny model",
        ])
        #expect(measured.status == 0, "\(measured.complaints)")
        #expect(measured.output.contains("slope") && measured.output.contains("a tiny model: "), "\(measured.output)")
        let calibration = try JSONDecoder().decode(
            ConfidenceCalibration.self, from: Data(contentsOf: shop.folder.file("confidence.json")))
        #expect(calibration.source.contains("of 6 prompts"))
        // What a draw compared is not in a trace, so it must not be taken for a choice by values.
        let drawn = try shop.run(
            ["generate", "say h", "--k", "4", "--horizon", "3", "--without", "all", "--choice", "sample"]
                + ["--max-tokens", "16", "--trace", shop.path("drawn.jsonl")] + common)
        #expect(drawn.status == 0, "\(drawn.complaints)")
        let refused = try shop.run(["value", "confidence", shop.path("drawn.jsonl"), "--alpha", "0.5"])
        #expect(refused.status == 64 && refused.complaints.contains("--choice greedy"), "\(refused.complaints)")
        let answer = try shop.run(
            ["generate", "say g", "--confidence", "0.9", "--k", "4", "--horizon", "3", "--format", "json"]
                + ["--max-tokens", "4", "--confidence-calibration", shop.path("confidence.json")] + common)
        #expect(answer.status == 0 && answer.output.contains("a tiny model: "), "\(answer.complaints)")
        #expect(!answer.complaints.contains("SmolLM2-135M"))
        for (arguments, complaint) in [
            (["--confidence-calibration", shop.path("confidence.json")], "is for --confidence"),
            (["--confidence", "0.9", "--confidence-calibration", shop.path("none.json")], "none.json cannot be read"),
            (["--confidence", "0.9", "--confidence-calibration", prompts], "prompts.jsonl cannot be used"),
        ] {
            let refused = try shop.run(["generate", "say g", "--k", "4"] + common + arguments)
            #expect(
                refused.status != 0 && !refused.wasSignalled && refused.complaints.contains(complaint),
                "\(refused.complaints)")
        }
    }

    /// One prompt asked twice is one prompt: there is none left to check a fit on.
    @Test func aPromptAskedTwiceIsNotHeldOutFromItself() throws {
        let shop = try Workshop()
        func fit(_ prompts: [String]) throws -> ProgramRun {
            let file = try shop.write(
                prompts.map { "{\"prompt\": \"\($0)\"}" }.joined(separator: "\n"), "prompts.jsonl")
            let common = ["--model", shop.path("tiny.gguf")]
            let traced = try shop.run(
                ["generate", "--batch", file, "--reward", "length:5", "--k", "4", "--horizon", "3", "--without", "all"]
                    + ["--alpha", "0.5", "--choice", "greedy", "--max-tokens", "16"]
                    + ["--trace", shop.path("trace.jsonl")] + common)
            #expect(traced.status == 0, "\(traced.complaints)")
            return try shop.run(
                ["value", "fit", shop.path("trace.jsonl"), "--output", shop.path("value.json")] + common)
        }
        let twice = try fit(["say a", "say a"])
        #expect(twice.status != 0 && twice.complaints.contains("prompts with differing values"), "\(twice.complaints)")
        #expect(try fit(["say a", "say b"]).status == 0)
    }
}

@Suite struct PaceTests {
    /// The quotient of what a table shows is what it shows as ratio; the median of prompts is another number.
    @Test func ratiosAreOfTotals() {
        var (loop, side) = (Pace(), Pace())
        for (seconds, tokens) in [(2.0, 4), (3, 4), (4, 4)] { loop.add(seconds: seconds, tokens: tokens) }
        for (seconds, tokens) in [(1.0, 40), (1, 10), (10, 50)] { side.add(seconds: seconds, tokens: tokens) }
        #expect(abs(loop.secondsPerToken - 0.75) < 1e-12 && abs(side.secondsPerToken - 0.12) < 1e-12)
        let ratio = loop.ratio(to: side)
        #expect(abs(ratio.total - 0.75 / 0.12) < 1e-12)
        // 0.5/0.025, 0.75/0.1, 1/0.2.
        #expect(abs(ratio.median - 7.5) < 1e-12)
    }
}
