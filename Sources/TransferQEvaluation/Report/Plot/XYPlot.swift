import TransferQ

/// Points with their intervals, and lines through them, over two axes. Names stand beside what they name.
package struct XYPlot: Sendable {
    package struct Point: Sendable {
        package let x: Double
        package let y: Double
        /// 95 % intervals, drawn as whiskers.
        let xInterval: ClosedRange<Double>?
        let yInterval: ClosedRange<Double>?
        /// Stands beside the point, for example its α.
        let label: String?
        /// Drawn with a ring around it.
        let isRinged: Bool

        package init(
            x: Double, y: Double, xInterval: ClosedRange<Double>? = nil, yInterval: ClosedRange<Double>? = nil,
            label: String? = nil, isRinged: Bool = false
        ) {
            (self.x, self.y, self.label, self.isRinged) = (x, y, label, isRinged)
            (self.xInterval, self.yInterval) = (xInterval, yInterval)
        }
    }

    package struct Series: Sendable {
        package let name: String
        /// Joined by a line in this order.
        package let points: [Point]
        /// Chooses colour, dash and mark, so that a method looks the same in every plot of a page.
        let style: Int

        package init(name: String, points: [Point], style: Int) {
            (self.name, self.points, self.style) = (name, points, style)
        }
    }

    package let id: String
    package let title: String
    /// What the plot shows, in a sentence or two.
    package let summary: String
    package let xLabel: String
    package let yLabel: String
    let xScale: PlotAxis.Scale
    package let series: [Series]

    /// - Parameter id: letters and dashes, another for each plot of a page.
    package init(
        id: String, title: String, summary: String, xLabel: String, yLabel: String, xScale: PlotAxis.Scale = .linear,
        series: [Series]
    ) {
        (self.id, self.title, self.summary, self.xLabel, self.yLabel) = (id, title, summary, xLabel, yLabel)
        (self.xScale, self.series) = (xScale, series)
    }

    /// What is drawn, in rows: name, label of the point, x, its interval, y, its interval.
    package var rows: [[String]] {
        func cells(_ value: Double, _ interval: ClosedRange<Double>?) -> [String] {
            [
                value.significant(4),
                interval.map { "\($0.lowerBound.significant(4)) to \($0.upperBound.significant(4))" } ?? "–",
            ]
        }
        return [["", "", xLabel, "95 % interval", yLabel, "95 % interval"]]
            + series.flatMap { one in
                one.points.map { [one.name, $0.label ?? ""] + cells($0.x, $0.xInterval) + cells($0.y, $0.yInterval) }
            }
    }

    /// Where its labels stand.
    package func labelBoxes(_ size: PlotSize) -> [LabelPlacement.Box] {
        let sheet = PlotSheet(id: id, title: title, summary: summary, size: size, isAlone: false)
        return XYDrawing(self, sheet).labels().map(\.placed.box)
    }

    /// - Parameter isAlone: whether it is for a file of its own.
    package func svg(_ size: PlotSize = .wide, isAlone: Bool = false) -> String {
        let drawing = XYDrawing(self, PlotSheet(id: id, title: title, summary: summary, size: size, isAlone: isAlone))
        return drawing.svg()
    }
}

/// One drawing of a plot: where everything is.
private struct XYDrawing {
    private struct Place: Hashable {
        let x: Int
        let y: Int
    }

    private struct Spot {
        let x: Double
        let y: Double
        let point: XYPlot.Point

        /// Within half a unit: marks there cannot be told apart.
        var place: Place { Place(x: Int((x * 2).rounded()), y: Int((y * 2).rounded())) }
    }

    private let plot: XYPlot
    private let sheet: PlotSheet
    private let xAxis: PlotAxis
    private let yAxis: PlotAxis
    private let frame: PlotFrame
    /// Of each series.
    private let spots: [[Spot]]

    init(_ plot: XYPlot, _ sheet: PlotSheet) {
        let points = plot.series.flatMap(\.points)
        let xs = points.flatMap { [$0.x] + ($0.xInterval.map { [$0.lowerBound, $0.upperBound] } ?? []) }
        let ys = points.flatMap { [$0.y] + ($0.yInterval.map { [$0.lowerBound, $0.upperBound] } ?? []) }
        let (xAxis, yAxis) = (
            PlotAxis(xs, scale: plot.xScale, count: sheet.size.ticks),
            PlotAxis(ys, count: 6)
        )
        let room = yAxis.ticks.map { LabelPlacement.width(PlotAxis.label($0), size: 12) }.max() ?? 0
        let frame = PlotFrame(
            left: room + 18, right: sheet.size.width - 14, top: sheet.head + 26, bottom: sheet.size.height - 46)
        spots = plot.series.map { series in
            series.points.compactMap { point in
                guard point.x.isFinite, point.y.isFinite, xAxis.contains(point.x), yAxis.contains(point.y) else {
                    return nil
                }
                return Spot(x: frame.x(xAxis.place(point.x)), y: frame.y(yAxis.place(point.y)), point: point)
            }
        }
        (self.plot, self.sheet, self.xAxis, self.yAxis, self.frame) = (plot, sheet, xAxis, yAxis, frame)
    }

    func svg() -> String {
        var svg = SVGText()
        sheet.drawX(xAxis, frame, label: plot.xLabel, on: &svg)
        for tick in yAxis.ticks {
            let y = frame.y(yAxis.place(tick))
            svg.line(frame.left, y, frame.right, y, kind: "grid")
            svg.text(PlotAxis.label(tick), frame.left - 10, y + 4, .end, kind: "soft", size: 12)
        }
        svg.line(frame.left, frame.top, frame.left, frame.bottom, kind: "axis")
        svg.text(sheet.fitted(plot.yLabel), 8, frame.top - 12, .start, kind: "soft", size: 12.5)
        drawWhiskers(on: &svg)
        drawLines(on: &svg)
        drawMarks(on: &svg)
        drawLabels(on: &svg)
        return sheet.svg(height: sheet.size.height, svg)
    }

    private func drawWhiskers(on svg: inout SVGText) {
        for (series, spots) in zip(plot.series, spots) {
            let (kind, colour) = ("l\(series.style % PlotStyle.light.count)", PlotStyle.colour(series.style))
            for spot in spots {
                if let range = spot.point.yInterval {
                    let ends = (frame.y(yAxis.place(range.lowerBound)), frame.y(yAxis.place(range.upperBound)))
                    svg.line(spot.x, ends.0, spot.x, ends.1, kind: kind, colour: colour, width: 1.2)
                    for y in [ends.0, ends.1] {
                        svg.line(spot.x - 3, y, spot.x + 3, y, kind: kind, colour: colour, width: 1.2)
                    }
                }
                if let range = spot.point.xInterval {
                    let ends = (frame.x(xAxis.place(range.lowerBound)), frame.x(xAxis.place(range.upperBound)))
                    svg.line(ends.0, spot.y, ends.1, spot.y, kind: kind, colour: colour, width: 1.2)
                    for x in [ends.0, ends.1] {
                        svg.line(x, spot.y - 3, x, spot.y + 3, kind: kind, colour: colour, width: 1.2)
                    }
                }
            }
        }
    }

    private struct Segment: Hashable {
        let from: Place
        let to: Place
    }

    /// Lines that run over each other alternate in their dashes, so that none hides another.
    private func drawLines(on svg: inout SVGText) {
        var owners: [Segment: [Int]] = [:]
        for (index, spots) in spots.enumerated() {
            for (from, to) in zip(spots, spots.dropFirst()) {
                owners[Segment(from: from.place, to: to.place), default: []].append(index)
            }
        }
        for (index, spots) in spots.enumerated() {
            let style = plot.series[index].style
            let paint = Self.paint(style)
            var run: [Spot] = []
            func end() {
                guard run.count > 1 else { return }
                let points = run.map { "\(SVGText.number($0.x)),\(SVGText.number($0.y))" }.joined(separator: " ")
                svg.add("<polyline \(paint)\(Self.dashes(style)) points=\"\(points)\"/>")
            }
            for (from, to) in zip(spots, spots.dropFirst()) {
                let sharing = owners[Segment(from: from.place, to: to.place)] ?? []
                if run.isEmpty { run = [from] }
                if sharing.count > 1, let turn = sharing.firstIndex(of: index) {
                    end()
                    let points = [from, to].map { "\(SVGText.number($0.x)),\(SVGText.number($0.y))" }
                    svg.add(
                        "<polyline \(paint) stroke-dasharray=\"6 \(6 * (sharing.count - 1))\" "
                            + "stroke-dashoffset=\"\(-6 * turn)\" points=\"\(points.joined(separator: " "))\"/>")
                    run = [to]
                } else {
                    run.append(to)
                }
            }
            end()
        }
    }

    private static func paint(_ style: Int) -> String {
        "class=\"l\(style % PlotStyle.light.count)\" fill=\"none\" stroke=\"\(PlotStyle.colour(style))\" "
            + "stroke-width=\"2\""
    }

    private static func dashes(_ style: Int) -> String {
        let dash = PlotStyle.dash(style)
        return dash.isEmpty ? "" : " stroke-dasharray=\"\(dash)\""
    }

    private func drawMarks(on svg: inout SVGText) {
        var taken: [Place: Set<Int>] = [:]
        for (index, (series, spots)) in zip(plot.series, spots).enumerated() {
            for spot in spots {
                guard taken[spot.place, default: []].insert(index).inserted else { continue }
                let around = min(2, (taken[spot.place]?.count ?? 1) - 1)
                if spot.point.isRinged {
                    svg.add(
                        "<circle class=\"l\(series.style % PlotStyle.light.count)\" cx=\"\(SVGText.number(spot.x))\" "
                            + "cy=\"\(SVGText.number(spot.y))\" r=\"9\" fill=\"none\" "
                            + "stroke=\"\(PlotStyle.colour(series.style))\" stroke-width=\"2\"/>")
                }
                let about = [series.name, spot.point.label].compactMap { $0 }.joined(separator: ", ")
                let figures =
                    "\(plot.xLabel) \(spot.point.x.significant(4)), \(plot.yLabel) \(spot.point.y.significant(4))"
                svg.add(
                    PlotStyle.mark(series: series.style, x: spot.x, y: spot.y, around: around)
                        + "<title>\(SVGText.escaped("\(about): \(figures)"))</title></path>")
            }
        }
    }

    struct NamedLabel {
        let placed: LabelPlacement.Placed
        /// The place of the series that it names; nil for a label beside one point.
        let series: Int?
    }

    func labels() -> [NamedLabel] {
        var placement = LabelPlacement(
            frame: .init(
                left: frame.left + 3, top: frame.top - 6, right: sheet.size.width - 3, bottom: frame.bottom - 2))
        for spots in spots {
            for spot in spots {
                let reach = spot.point.isRinged ? 10.0 : 5.0
                placement.marks.append(
                    .init(left: spot.x - reach, top: spot.y - reach, right: spot.x + reach, bottom: spot.y + reach))
                if let range = spot.point.yInterval {
                    placement.addLine(
                        spot.x, frame.y(yAxis.place(range.lowerBound)), spot.x, frame.y(yAxis.place(range.upperBound)))
                }
                if let range = spot.point.xInterval {
                    placement.addLine(
                        frame.x(xAxis.place(range.lowerBound)), spot.y, frame.x(xAxis.place(range.upperBound)), spot.y)
                }
            }
            for (from, to) in zip(spots, spots.dropFirst()) { placement.addLine(from.x, from.y, to.x, to.y) }
        }
        let widest = (frame.right - frame.left) * (sheet.size == .wide ? 0.5 : 0.6)
        let named = spots.indices.filter { !spots[$0].isEmpty }
        let names = named.map { index in
            LabelPlacement.Label(
                text: PlotSheet.shortened(plot.series[index].name, to: widest),
                lead: sample(index),
                anchors: spots[index].reversed().map { ($0.x, $0.y) })
        }
        let own = spots.flatMap { spots in
            spots.compactMap { spot in
                spot.point.label.map { LabelPlacement.Label(text: $0, anchors: [(spot.x, spot.y)]) }
            }
        }
        // Names first: every series has one, and the choice of places is theirs.
        return placement.place(names + own).enumerated().map { place, placed in
            NamedLabel(placed: placed, series: place < named.count ? named[place] : nil)
        }
    }

    /// Width of the piece of a line in front of its name; 0 where names tell few lines apart by their place.
    private func sample(_ series: Int) -> Double { spots[series].count > 1 && plot.series.count > 4 ? 30 : 0 }

    private func drawLabels(on svg: inout SVGText) {
        for label in labels() {
            let box = label.placed.box
            if let leader = label.placed.leader {
                svg.line(
                    leader.x, leader.y, min(max(leader.x, box.left), box.right),
                    min(max(leader.y, box.top), box.bottom), kind: "leader")
            }
            guard let index = label.series else {
                svg.text(label.placed.text, (box.left + box.right) / 2, box.bottom - 4, kind: "soft", size: 11.5)
                continue
            }
            let (style, middle) = (plot.series[index].style, (box.top + box.bottom) / 2)
            let width = sample(index)
            if width > 0 {
                svg.add(
                    "<polyline \(Self.paint(style))\(Self.dashes(style)) points=\"\(SVGText.number(box.left)),"
                        + "\(SVGText.number(middle)) \(SVGText.number(box.left + width - 4)),"
                        + "\(SVGText.number(middle))\"/>")
                svg.add(PlotStyle.mark(series: style, x: box.left + (width - 4) / 2, y: middle, around: 0) + "</path>")
            }
            svg.text(label.placed.text, box.left + width, box.bottom - 4, .start, size: LabelPlacement.size)
        }
    }
}
