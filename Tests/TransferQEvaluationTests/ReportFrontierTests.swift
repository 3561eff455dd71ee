import Foundation
import Testing
import TransferQ
import TransferQEvaluation

/// Settings along which methods are compared, and runs that are compared with each other.
@Suite struct ReportFrontierTests {
    @Test func methodsThatDifferInAlphaAreFamilies() throws {
        let run = try ReportFixture().contents()
        let frontier = Frontier(run, over: .alpha)
        #expect(frontier.families.map(\.name) == ["cd", "transfer-q[baseline=kind]"])
        #expect(frontier.families[1].points.map(\.setting) == ReportFixture.alphas)
        #expect(frontier.families[0].points.map(\.setting) == [1, 0.5])
        #expect(Frontier(run, over: .budget).families.isEmpty)
    }

    @Test func thePeakIsWhereTheGoldRewardIsHighest() throws {
        let run = try ReportFixture().contents()
        let family = try #require(Frontier(run, over: .alpha).families.last)
        let peak = try #require(family.peaks["gold:held-out"])
        let means = family.points.compactMap { $0.values["gold:held-out"]?.mean }
        #expect(peak.mean == means.max() && peak.setting < 4 && peak.setting > 0.25)
        #expect(peak.strongest == family.points.last?.method)
        // The fall is the paired difference of the two methods.
        let answers = run.answers
        let values = Dictionary(uniqueKeysWithValues: run.gold.map { ($0.answer, $0.value) })
        func gold(_ method: String) -> [Double] {
            answers.filter { $0.method == method }.compactMap { values[$0.answer] ?? nil }
        }
        let places = answers.filter { $0.method == peak.method }.map(\.prompt)
        let fall = MeanInterval(zip(gold(peak.method), gold(peak.strongest)).map { $0 - $1 }, clusters: places)
        let shown = try #require(peak.fall?.value)
        #expect(abs(shown.mean - fall.mean) < 1e-12 && abs((shown.low ?? 0) - (fall.low ?? 1)) < 1e-9)
        #expect(peak.isOverOptimised)
        let sentences = Frontier(run, over: .alpha).sentences("gold:held-out")
        #expect(sentences.count == 2 && sentences[1].contains("beyond it the reward falls by"))
    }

    @Test func aPeakAtTheStrongestGuidanceShowsNoFall() throws {
        let fixture = try ReportFixture()
        // Gold is what guides: it rises to the end.
        let rewards = try fixture.run.answers().map { ($0.answer, $0.reward) }
        let lines = try rewards.map { try JSON.line(ValueLine(answer: $0.0, name: "held-out", value: $0.1)) }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: fixture.run.goldFile)
        let frontier = Frontier(try fixture.contents(), over: .alpha)
        let peak = try #require(frontier.families[1].peaks["gold:held-out"])
        #expect(peak.setting == 0.25 && peak.fall == nil && !peak.isOverOptimised)
        #expect(frontier.sentences("gold:held-out")[1].contains("no fall seen"))
    }

    @Test func runsArePairedByPromptAndSeed() throws {
        let (first, second) = (
            try ReportFixture(name: "first"), try ReportFixture(name: "second", shift: 0.25, prompts: 9)
        )
        let joined = try RunContents.joined([first.contents(), second.contents()])
        #expect(joined.notes == ["9 of 12 prompts were answered in every run; the others are left out"])
        let table = try EvaluationReport(joined.run).table
        #expect(table.reference == "first: greedy" && table.rows.count == 16)
        let row = try #require(table.rows.first { $0.method == "second: greedy" })
        let difference = try #require(row.cells["reward"]?.difference?.value)
        // The same noise but for the shift.
        #expect(abs(difference.mean - 0.25) < 1e-12 && difference.clusters == 9)
        #expect(Frontier(joined.run, over: .alpha).families.count == 4)
    }

    @Test func rewardsThatDifferAreNotCompared() throws {
        let (first, second) = (
            try ReportFixture(name: "first"), try ReportFixture(name: "second", guide: "head:other.json")
        )
        let joined = try RunContents.joined([first.contents(), second.contents()])
        #expect(joined.notes == ["the runs' guiding rewards differ, so they are left out"])
        let table = try EvaluationReport(joined.run).table
        #expect(table.rows.allSatisfy { $0.cells["reward"] == nil && $0.cells["gold:held-out"] != nil })
    }

    @Test func runsThatCannotBeComparedGetASentence() throws {
        let first = try ReportFixture().contents()
        #expect { try RunContents.joined([first, first]) } throws: { "\($0)".contains("the same name") }
        let other = try ReportFixture(name: "second").contents()
        #expect { try RunContents.joined([first, other], reference: "second: x") } throws: {
            "\($0)".contains("no method is called \"second: x\"")
        }
    }
}
