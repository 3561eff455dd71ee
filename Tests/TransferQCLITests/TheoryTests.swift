import Foundation
import TestSupport
import Testing
import TransferQTheory

/// `transferq theory` as a user runs it.
@Suite(.serialized) struct TheoryTests {
    @Test func randomInstancesAreSolved() throws {
        let folder = try TemporaryFolder()
        let file = folder.file("instance.json")
        let random = try ProgramRun.run(["theory", "random", "--vocabulary", "3", "--length", "3", "--seed", "4"])
        #expect(random.status == 0)
        try Data(random.output.utf8).write(to: file)
        let text = try ProgramRun.run(["theory", "solve", file.path])
        #expect(text.status == 0 && text.output.contains("transfer-q-indirect"))
        let json = try ProgramRun.run(["theory", "solve", file.path, "--format", "json"])
        let report = try JSONDecoder().decode(SolutionReport.self, from: Data(json.output.utf8))
        #expect(Set(report.methods.keys) == Set(ExactSolver.names))
        for (name, method) in report.methods {
            #expect(abs(method.responses.values.reduce(0, +) - 1) < 1e-12, "\(name)")
        }
        #expect(report.bounds.values.allSatisfy { $0.allSatisfy { $0.slack >= -1e-9 } })
    }

    @Test func verificationCountsWhatItChecked() throws {
        let run = try ProgramRun.run(["theory", "verify", "--instances", "50"])
        #expect(run.status == 0)
        #expect(run.output.contains("1400 checks on 50 instances") && run.output.contains("0 violations"))
    }

    @Test func experimentsWriteLinesAndPlots() throws {
        let folder = try TemporaryFolder()
        for (name, points) in [("sweep", 13 * 11), ("gap", 11 * 11)] {
            let plot = folder.file("\(name).svg")
            let run = try ProgramRun.run(["theory", name, "--instances", "5", "--plot", plot.path])
            #expect(run.status == 0, "\(run.complaints)")
            let lines = try run.output.split(separator: "\n").map {
                try JSONDecoder().decode(ExperimentPoint.self, from: Data($0.utf8))
            }
            #expect(lines.count == points)
            let svg = try String(contentsOf: plot, encoding: .utf8)
            #expect(svg.contains("</svg>") && svg.contains("transfer-q-indirect") && !svg.contains("nan"))
            #expect(XMLCheck.tags(of: svg) > 50)
        }
    }

    @Test func badInputGetsASentence() throws {
        let folder = try TemporaryFolder()
        let huge = folder.file("huge.json")
        try Data(
            #"{"vocabularySize":10,"maxLength":9,"reference":{},"reward":{},"alpha":1,"beta":1}"#.utf8
        ).write(to: huge)
        let cases: [([String], String)] = [
            (["theory", "solve", "/no/such"], "/no/such cannot be read"),
            (["theory", "solve", huge.path], "the instance has more than 1000000 responses"),
            (["theory", "random", "--vocabulary", "0"], "vocabularySize must be at least 1"),
            (["theory", "random", "--length", "0"], "maxLength must be at least 1"),
            (["theory", "random", "--length", "1000000000"], "maxLength must be at most 1000000"),
            (["theory", "random", "--vocabulary", "2", "--length", "30000"], "exact solving stops"),
            (
                ["theory", "random", "--vocabulary", "2", "--length", "9223372036854775807"],
                "maxLength must be at most"
            ),
            (["theory", "verify", "--instances", "0"], "--instances must be between 1"),
            (["theory", "gap", "--instances", "1", "--plot", "/no/such/x.svg"], "cannot be written"),
        ]
        for (arguments, sentence) in cases {
            let run = try ProgramRun.run(arguments)
            #expect(run.status == 64 && !run.wasSignalled, "\(arguments): \(run.complaints)")
            #expect(run.complaints.contains(sentence), "\(arguments): \(run.complaints)")
        }
    }

    /// Whether tags of an XML text are balanced.
    private enum XMLCheck {
        static func tags(of text: String) -> Int {
            var open: [Substring] = []
            var count = 0
            for match in text.matches(of: /<(\/?)([a-zA-Z]+)[^>]*?(\/?)>/) {
                count += 1
                if !match.1.isEmpty {
                    let last = open.popLast()
                    #expect(last == match.2)
                } else if match.3.isEmpty {
                    open.append(match.2)
                }
            }
            #expect(open.isEmpty)
            return count
        }
    }
}
