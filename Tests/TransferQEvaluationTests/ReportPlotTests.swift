import Foundation
import Testing
import TransferQ
import TransferQEvaluation

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// Plots as text: labels, lines, marks.
@Suite struct ReportPlotTests {
    private func plot(_ series: [[(Double, Double)]], names: [String]? = nil) -> XYPlot {
        XYPlot(
            id: "test", title: "Title", summary: "Summary.", xLabel: "x", yLabel: "y",
            series: series.enumerated().map { index, points in
                XYPlot.Series(
                    name: names?[index] ?? "method \(index)", points: points.map { XYPlot.Point(x: $0.0, y: $0.1) },
                    style: index)
            })
    }

    @Test(arguments: PlotSize.allCases) func labelsDoNotOverlap(_ size: PlotSize) {
        var noise = SplitMix(state: 3)
        for _ in 0..<20 {
            let points = (0..<10).map { _ in [(noise.normal(), noise.normal())] }
            let boxes = plot(points, names: points.indices.map { "transfer-q[a=\($0)]" }).labelBoxes(size)
            #expect(boxes.count == 10)
            for (index, box) in boxes.enumerated() {
                for other in boxes[..<index] { #expect(box.overlap(other) == 0) }
            }
        }
    }

    @Test func linesOverEachOtherAreBothSeen() throws {
        let svg = plot([[(0, 0), (1, 1), (2, 0)], [(0, 0), (1, 1), (2, 2)]]).svg()
        // The common part alternates, and each has the rest to itself.
        let dashes = svg.matches(of: /<polyline class="l(\d)"[^>]*stroke-dasharray="6 6" stroke-dashoffset="(-?\d+)"/)
        #expect(dashes.map { "\($0.1) \($0.2)" } == ["0 0", "1 -6"])
        #expect(svg.matches(of: /<polyline/).count == 4)
        // Marks at one place have different outlines.
        #expect(svg.matches(of: /<path class="l1" fill="none"/).count == 2)
    }

    @Test func namesOfManyLinesHaveAPieceOfTheirLine() {
        let lines = (0..<6).map { line in (0..<4).map { (Double($0), Double(line)) } }
        #expect(plot(lines).svg().matches(of: /<polyline/).count == 12)
        #expect(plot(Array(lines.prefix(4))).svg().matches(of: /<polyline/).count == 4)
    }

    /// What lies near 0 has as much room as what lies far out.
    @Test func squareRootsSpreadWhatIsSmall() throws {
        let points = (0...8).map { XYPlot.Point(x: 0.04 * Double($0 * $0), y: Double($0)) }
        let plot = XYPlot(
            id: "test", title: "Title", summary: "Summary.", xLabel: "x", yLabel: "y", xScale: .squareRoot,
            series: [XYPlot.Series(name: "one", points: points, style: 0)])
        let line = try #require(plot.svg().firstMatch(of: /<polyline [^>]*points="([^"]*)"/)).1
        let places = line.split(separator: " ").compactMap { Double($0.split(separator: ",")[0]) }
        #expect(places.count == 9)
        let steps = zip(places, places.dropFirst()).map { $1 - $0 }
        #expect(steps.allSatisfy { abs($0 - steps[0]) < 1 } && steps[0] > 20)
        // Ticks are numbers of one digit, 0 among them.
        let ticks = plot.svg().matches(of: />([0-9.]+)<\/text>/).compactMap { Double($0.1) }
        #expect(ticks.contains(0) && ticks.contains(2))
    }

    @Test func ticksAreRoundAndSpanTheValues() {
        for (low, high) in [(0.0, 1.0), (-3.2, 7.9), (0.0113, 0.0139), (1234, 98_765), (5, 5), (0, 0)] {
            let ticks = PlotAxis.round(low, high, 6)
            #expect(ticks.count >= 2 && ticks.count <= 9, "\(ticks)")
            #expect(ticks[0] <= low + 1e-12 && ticks[ticks.count - 1] >= high - 1e-12, "\(ticks)")
            for (left, right) in zip(ticks, ticks.dropFirst()) {
                #expect(abs((right - left) / (ticks[1] - ticks[0]) - 1) < 1e-9)
            }
        }
    }

    @Test func namesAreEscapedAndShortened() {
        let name = "<i>" + String(repeating: "long & ", count: 20)
        let svg = plot([[(0, 0)], [(1, 1)]], names: [name, "short"]).svg(.narrow)
        #expect(!svg.contains("<i>") && svg.contains("…"))
        #expect(svg.contains("<title>&lt;i&gt;"))
        #expect(!plot([[(0, .nan)], [(1, 1)]]).svg().contains("nan"))
    }

    @Test func everyFigureStandsAloneInAFile() throws {
        let files = try EvaluationReport(ReportFixture().contents()).svg
        #expect(
            Set(files.keys) == [
                "difference-reward.svg", "difference-gold-1.svg", "reward-kl.svg", "gold-1-alpha.svg",
                "reward-seconds.svg",
                "distribution-reward.svg", "distribution-length.svg",
            ])
        for (name, svg) in files {
            let document = try XMLDocument(xmlString: svg)
            let root = try #require(document.rootElement())
            #expect(root.name == "svg" && root.elements(forName: "title").count == 1, "\(name)")
            #expect(root.elements(forName: "desc").first?.stringValue?.isEmpty == false, "\(name)")
            #expect(!svg.contains("nan") && !svg.contains("inf"), "\(name)")
        }
        #expect(try #require(files["gold-1-alpha.svg"]).contains("peak: α 0.5"))
    }
}
