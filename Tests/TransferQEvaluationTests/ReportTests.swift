import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQEvaluation

/// What a report says of a run.
@Suite struct ReportTests {
    /// The data block of a page.
    private struct Page: Decodable {
        struct Answer: Decodable {
            let key: String
            let text: String
            let values: [Double?]
        }

        struct Step: Decodable {
            let text: String
        }

        let table: EvaluationTable
        let answers: [Answer]
        let traces: [String: [Step]]

        init(_ html: String) throws {
            let block = /<script type="application\/json" id="data">(.*?)<\/script>/.dotMatchesNewlines()
            let match = try #require(html.firstMatch(of: block))
            self = try JSONDecoder().decode(Page.self, from: Data(String(match.1).utf8))
        }
    }

    @Test func figuresAreThoseOfTheLines() throws {
        let fixture = try ReportFixture()
        let report = try EvaluationReport(fixture.contents())
        #expect(report.table.rows.map(\.method) == ReportFixture.methods)
        let answers = try fixture.run.answers()
        for method in ReportFixture.methods {
            let own = answers.filter { $0.method == method }
            let row = try #require(report.table.rows.first { $0.method == method })
            #expect(row.answers == 24 && row.prompts == 12)
            let expected = MeanInterval(own.compactMap(\.reward), clusters: own.map(\.prompt))
            #expect(row.cells["reward"]?.value == expected)
            let base = answers.filter { $0.method == "greedy" }
            let differences = zip(own, base).compactMap { own, base in
                own.reward.flatMap { one in base.reward.map { one - $0 } }
            }
            let paired = MeanInterval(differences, clusters: own.map(\.prompt))
            guard method != "greedy" else {
                #expect(row.cells["reward"]?.difference == nil)
                continue
            }
            let shown = try #require(row.cells["reward"]?.difference?.value)
            #expect(abs(shown.mean - paired.mean) < 1e-12)
            #expect(abs((shown.low ?? 0) - (paired.low ?? 1)) < 1e-9)
        }
    }

    @Test func kindsOfKLAreNotMixed() throws {
        let report = try EvaluationReport(ReportFixture().contents())
        #expect(report.table.rows.allSatisfy { $0.cells["kl"]?.difference == nil })
        #expect(try report.html().contains("<span class=\"what\">point mass</span>"))
        // Greedy, whose KL is that of a point mass, is no point of the plot of divergences.
        let plot = try #require(report.svg["reward-kl.svg"])
        #expect(plot.contains("cd: ") || plot.contains("cd, α"))
        #expect(!plot.contains(">greedy<") && report.svg["reward-klOfPointMass.svg"] == nil)
    }

    @Test func aMissingValueIsLeftOutAndCounted() throws {
        let fixture = try ReportFixture()
        let report = try EvaluationReport(fixture.contents())
        let missing = try #require(try fixture.run.metrics().first { $0.value == nil })
        let lines = report.answersCSV.split(separator: "\r\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        let place = try #require(lines[0].firstIndex(of: "coherence"))
        let line = try #require(lines.first { $0[0] == missing.answer })
        #expect(line[place].isEmpty)
        #expect(lines.dropFirst().count { $0[place].isEmpty } == 1)
    }

    @Test func thePageHoldsEveryFigure() throws {
        let fixture = try ReportFixture()
        let report = try EvaluationReport(fixture.contents())
        let html = try report.html()
        let page = try Page(html)
        #expect(try JSON.line(page.table) == JSON.line(report.table) && page.answers.count == 192)
        for row in report.table.rows {
            for cell in row.cells.values {
                for value in [cell.value, cell.difference?.value].compactMap({ $0 }) {
                    #expect(html.contains("data-value=\"\(value.mean)\" data-n=\"\(value.clusters)\""))
                }
            }
        }
        let lines = try Dictionary(uniqueKeysWithValues: fixture.run.answers().map { ($0.answer, $0) })
        for answer in page.answers {
            #expect(answer.text == lines[answer.key]?.response)
            #expect(answer.values[0] == lines[answer.key]?.reward)
        }
    }

    @Test func whatIsWrittenByOthersIsNoMarkup() throws {
        let html = try EvaluationReport(ReportFixture().contents()).html()
        #expect(html.ranges(of: "<script").count == 2 && html.ranges(of: "</script").count == 2)
        #expect(!html.contains("<img") && !html.contains("<!--"))
        // A label is written into markup as well.
        let labelled = try ReportFixture()
        var text = try String(contentsOf: labelled.run.specificationFile, encoding: .utf8)
        var lines = try String(contentsOf: labelled.run.answersFile, encoding: .utf8)
        let label = #"<b onclick='x'>\"cd\" & more</b>"#
        text.replace(#""label" : "cd[alpha=1]""#, with: #""label" : "\#(label)""#)
        lines.replace(#""method":"cd[alpha=1]""#, with: #""method":"\#(label)""#)
        try Data(text.utf8).write(to: labelled.run.specificationFile)
        try Data(lines.utf8).write(to: labelled.run.answersFile)
        let report = try EvaluationReport(labelled.contents())
        let page = try report.html()
        #expect(
            !page.contains("<b onclick")
                && page.contains("&lt;b onclick=&#39;x&#39;&gt;&quot;cd&quot; &amp; more&lt;/b&gt;"))
        #expect(report.svg.values.allSatisfy { !$0.contains("<b ") })
        #expect(report.markdown(pictures: false).contains("&lt;b onclick='x'>\"cd\" &amp; more&lt;/b>"))
    }

    @Test func aPageAllowsNoScriptButItsOwn() throws {
        let html = try EvaluationReport(ReportFixture().contents()).html()
        #expect(html.contains("default-src &#39;none&#39;; script-src &#39;sha256-"))
        #expect(
            !html.contains("http://")
                || html.ranges(of: "http://").count == html.ranges(of: "http://www.w3.org/2000/svg").count)
        #expect(!html.contains("https://"))
    }

    @Test func filesHoldTheSameFigures() throws {
        let fixture = try ReportFixture()
        let report = try EvaluationReport(fixture.contents())
        let rows = report.tableCSV.split(separator: "\r\n").dropFirst().map { CSV.cells(String($0)) }
        #expect(rows.count == report.table.rows.reduce(0) { $0 + $1.cells.count })
        for row in rows {
            let cell = try #require(report.table.rows.first { $0.method == row[0] }?.cells[row[1]])
            #expect(Double(row[2]) == cell.value.mean && Double(row[3]) == cell.value.low)
            #expect(Double(row[4]) == cell.value.high && Int(row[5]) == cell.value.clusters)
            let difference = cell.difference
            #expect(Double(row[6]) == difference?.value.mean && Double(row[8]) == difference?.value.high)
            #expect(Int(row[10]) == difference?.wins && Bool(row[13]) == difference?.isDifferent)
        }
        let markdown = report.markdown(pictures: true)
        let reward = try #require(report.table.rows[4].cells["reward"])
        #expect(markdown.contains(" \(reward.value.text) |"))
        for name in report.svg.keys { #expect(markdown.contains("](\(name))")) }
    }

    @Test func cellsOfCSVAreQuotedAndNoFormulas() {
        #expect(
            CSVText.lines([["a,b", "say \"x\"", "two\nlines", "=1+1", "-0.5", "-a", "plain"]])
                == "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",'=1+1,-0.5,'-a,plain\r\n")
    }

    @Test func winnersAreNamedOnlyWhereTheIntervalHoldsNoZero() throws {
        let report = try EvaluationReport(ReportFixture().contents())
        let html = try report.html()
        let marks = html.ranges(of: "better\">▲ ").count + html.ranges(of: "worse\">▼ ").count
        let differences = report.table.rows.flatMap { row in
            report.table.columns.filter { $0.better != .neither }.compactMap { row.cells[$0.id]?.difference }
        }
        let clear = differences.count { $0.isDifferent }
        #expect(marks == clear && clear > 5 && clear < differences.count)
    }

    @Test func judgementsHaveATable() throws {
        let report = try EvaluationReport(ReportFixture().contents())
        let summary = try #require(report.table.judgements.first)
        #expect(summary.wins == 9 && summary.ties == 3 && summary.method == "cd[alpha=0.5]")
        #expect(try report.html().contains("<td>9, 3, 0</td><td>▲ 87.5 ("))
        #expect(report.markdown(pictures: false).contains("| 9, 3, 0 | ▲ 87.5 ("))
    }

    @Test func tracesStayWithinTheirLimit() throws {
        let fixture = try ReportFixture()
        let run = try fixture.contents()
        #expect(try Page(EvaluationReport(run).html()).traces.count == 28)
        let none = try EvaluationReport(run, traceLimit: 0).html()
        #expect(try Page(none).traces.isEmpty && none.contains("Traces of 28 of 28 answers are left out"))
        let some = try Page(EvaluationReport(run, traceLimit: 20_000).html()).traces.count
        #expect(some > 0 && some < 28)
        // Its files go with it.
        withExtendedLifetime(fixture) {}
    }

    @Test func aFolderOfSomethingElseGetsASentence() throws {
        let folder = try TemporaryFolder()
        #expect(throws: EvaluationError.self) { try RunContents(RunFolder(folder.url.path)) }
        let fixture = try ReportFixture()
        try Data().write(to: fixture.run.answersFile)
        #expect { try fixture.contents() } throws: { "\($0)".contains("holds no answer yet") }
        #expect {
            try EvaluationReport(ReportFixture().contents()).write([.html], to: fixture.run.answersFile)
        } throws: { "\($0)".contains("cannot be written") }
    }
}

/// Lines of comma-separated values.
enum CSV {
    /// The cells of a line, quotes resolved.
    static func cells(_ line: String) -> [String] {
        var cells = [""]
        var isQuoted = false
        for letter in line {
            if letter == "\"" {
                isQuoted.toggle()
            } else if letter == ",", !isQuoted {
                cells.append("")
            } else {
                cells[cells.count - 1].append(letter)
            }
        }
        return cells
    }
}
