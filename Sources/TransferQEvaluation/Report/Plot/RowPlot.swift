import TransferQ

/// A row for each method over one axis: a mean with its interval, and how the values of its answers are distributed.
package struct RowPlot: Sendable {
    package struct Row: Sendable {
        package let name: String
        package let mean: Double
        package let interval: ClosedRange<Double>?
        /// Values of single answers, drawn as a histogram; empty draws none.
        package let values: [Double]
        let style: Int
        /// Whether the mark is filled; otherwise only its outline is drawn.
        let isFilled: Bool

        package init(
            name: String, mean: Double, interval: ClosedRange<Double>?, values: [Double] = [], style: Int,
            isFilled: Bool = true
        ) {
            (self.name, self.mean, self.interval, self.values) = (name, mean, interval, values)
            (self.style, self.isFilled) = (style, isFilled)
        }
    }

    package let id: String
    package let title: String
    package let summary: String
    package let xLabel: String
    /// Drawn as a line across all rows, for example 0 of a difference.
    let mark: Double?
    package let data: [Row]

    package init(id: String, title: String, summary: String, xLabel: String, mark: Double? = nil, data: [Row]) {
        (self.id, self.title, self.summary, self.xLabel) = (id, title, summary, xLabel)
        (self.mark, self.data) = (mark, data)
    }

    /// What is drawn, in rows: name, mean, interval; the least, the middle and the largest value where there are some.
    package var rows: [[String]] {
        let hasValues = data.contains { !$0.values.isEmpty }
        return [["", "mean of \(xLabel)", "95 % interval"] + (hasValues ? ["least", "median", "largest"] : [])]
            + data.map { row in
                let ends = row.interval.map { "\($0.lowerBound.significant(4)) to \($0.upperBound.significant(4))" }
                let spread =
                    row.values.isEmpty
                    ? ["–", "–", "–"]
                    : [row.values.min() ?? 0, median(row.values), row.values.max() ?? 0].map { $0.significant(4) }
                return [row.name, row.mean.significant(4), ends ?? "–"] + (hasValues ? spread : [])
            }
    }

    static let bins = 24

    package func svg(_ size: PlotSize = .wide, isAlone: Bool = false) -> String {
        let sheet = PlotSheet(id: id, title: title, summary: summary, size: size, isAlone: isAlone)
        let hasValues = data.contains { !$0.values.isEmpty }
        let ends = data.flatMap { row in
            [row.mean] + (row.interval.map { [$0.lowerBound, $0.upperBound] } ?? []) + row.values
        }
        let axis = PlotAxis(ends + (mark.map { [$0] } ?? []), count: size.ticks)
        // Names stand to the left where there is room for all of them, otherwise above their row.
        let longest = data.map { LabelPlacement.width($0.name) }.max() ?? 0
        let isBeside = size == .wide && longest < 280
        let (column, lift, height) = (isBeside ? longest + 22 : 12, isBeside ? 0.0 : 17, hasValues ? 46.0 : 26)
        let top = sheet.head
        let bottom = top + Double(data.count) * (lift + height) + 6
        let frame = PlotFrame(left: column, right: size.width - 14, top: top, bottom: bottom)
        var svg = SVGText()
        sheet.drawX(axis, frame, label: xLabel, on: &svg)
        if let mark {
            svg.line(frame.x(axis.place(mark)), top, frame.x(axis.place(mark)), bottom, kind: "axis", width: 1.5)
        }
        let most = data.flatMap { heights($0, axis) }.max() ?? 1
        for (index, row) in data.enumerated() {
            let floor = top + Double(index + 1) * (lift + height)
            draw(row, axis, frame, floor: floor, height: hasValues ? height - 14 : 0, most: max(most, 1e-9), on: &svg)
            if isBeside {
                svg.text(row.name, frame.left - 10, floor - (hasValues ? 16 : 8), .end, size: LabelPlacement.size)
            } else {
                let name = PlotSheet.shortened(row.name, to: frame.right - frame.left)
                svg.text(name, frame.left + 3, floor - height - 1, .start, size: LabelPlacement.size)
            }
        }
        return sheet.svg(height: bottom + 48, svg)
    }

    /// The share of a row's values in each bin of the axis.
    private func heights(_ row: Row, _ axis: PlotAxis) -> [Double] {
        var counts = [Double](repeating: 0, count: Self.bins)
        for value in row.values where value.isFinite {
            counts[min(Self.bins - 1, max(0, Int(axis.place(value) * Double(Self.bins))))] +=
                1 / Double(row.values.count)
        }
        return counts
    }

    private func draw(
        _ row: Row, _ axis: PlotAxis, _ frame: PlotFrame, floor: Double, height: Double, most: Double,
        on svg: inout SVGText
    ) {
        let (index, colour, n) = (row.style % PlotStyle.light.count, PlotStyle.colour(row.style), SVGText.number)
        let base = floor - (height > 0 ? 11 : 0)
        if !row.values.isEmpty {
            let width = (frame.right - frame.left) / Double(Self.bins)
            let bars = heights(row, axis).enumerated().compactMap { bin, share -> String? in
                guard share > 0 else { return nil }
                let tall = max(1, share / most * height)
                return
                    "M\(n(frame.left + Double(bin) * width + 0.5)) \(n(base))v\(n(-tall))h\(n(width - 1))v\(n(tall))z"
            }
            svg.add("<path class=\"f\(index)\" fill=\"\(colour)\" fill-opacity=\"0.45\" d=\"\(bars.joined())\"/>")
            svg.line(frame.left, base, frame.right, base, kind: "grid")
        }
        let middle = height > 0 ? base + 6 : floor - 12
        if let interval = row.interval {
            let (low, high) = (frame.x(axis.place(interval.lowerBound)), frame.x(axis.place(interval.upperBound)))
            svg.line(low, middle, high, middle, kind: "l\(index)", colour: colour, width: 2)
            for x in [low, high] { svg.line(x, middle - 4, x, middle + 4, kind: "l\(index)", colour: colour, width: 2) }
        }
        guard row.mean.isFinite else { return }
        let paint =
            row.isFilled
            ? "class=\"f\(index)\" fill=\"\(colour)\""
            : "class=\"o\(index)\" stroke=\"\(colour)\" stroke-width=\"2\" fill=\"\(PlotStyle.paper["ground"] ?? "")\""
        let about = [row.name, row.mean.significant(4)].joined(separator: ": ")
        svg.add(
            "<circle \(paint) cx=\"\(n(frame.x(axis.place(row.mean))))\" cy=\"\(n(middle))\" r=\"4.5\">"
                + "<title>\(SVGText.escaped(about))</title></circle>")
    }
}
