import Foundation
import TransferQ

/// Lines and points in two dimensions, as an SVG that stands alone.
struct LinePlot {
    struct Series {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    let title: String
    let xLabel: String
    let yLabel: String
    let series: [Series]

    private static let width = 860.0
    private static let height = 520.0
    private static let left = 76.0
    private static let right = 220.0
    private static let top = 44.0
    private static let bottom = 60.0
    /// Okabe and Ito's colours, which the colour-blind tell apart, and two greys.
    private static let colours = [
        "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F7F7F", "#B22222",
        "#4B0082",
    ]

    func svg() -> String {
        let all = series.flatMap(\.points)
        let xTicks = Self.ticks(all.map(\.x))
        let yTicks = Self.ticks(all.map(\.y))
        let plotWidth = Self.width - Self.left - Self.right
        let plotHeight = Self.height - Self.top - Self.bottom
        func place(_ value: Double, _ ticks: [Double], _ length: Double) -> Double {
            let span = ticks[ticks.count - 1] - ticks[0]
            return (value - ticks[0]) / span * length
        }
        func x(_ value: Double) -> String { Self.number(Self.left + place(value, xTicks, plotWidth)) }
        func y(_ value: Double) -> String {
            Self.number(Self.top + plotHeight - place(value, yTicks, plotHeight))
        }
        let (floor, end) = (Self.number(Self.top + plotHeight), Self.number(Self.left + plotWidth))
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" "
                + "font-family=\"sans-serif\" font-size=\"13\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            text(Self.left + plotWidth / 2, 24, title, size: 15),
            text(Self.left + plotWidth / 2, Self.height - 16, xLabel),
            "<g transform=\"translate(20 \(Self.number(Self.top + plotHeight / 2))) rotate(-90)\">"
                + text(0, 0, yLabel) + "</g>",
        ]
        for tick in xTicks {
            parts.append(line(x(tick), Self.number(Self.top), x(tick), floor, "#E5E5E5"))
            parts.append(text(Double(x(tick)) ?? 0, Self.top + plotHeight + 20, Self.label(tick)))
        }
        for tick in yTicks {
            parts.append(line(Self.number(Self.left), y(tick), end, y(tick), "#E5E5E5"))
            parts.append(text(Self.left - 8, (Double(y(tick)) ?? 0) + 4, Self.label(tick), anchor: "end"))
        }
        parts.append(line(Self.number(Self.left), floor, end, floor, "#333333"))
        parts.append(line(Self.number(Self.left), Self.number(Self.top), Self.number(Self.left), floor, "#333333"))
        for (index, one) in series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            if one.points.count > 1 {
                let path = one.points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
                let dash = index % 2 == 1 ? " stroke-dasharray=\"6 3\"" : ""
                parts.append(
                    "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"\(dash)/>")
            }
            for point in one.points {
                parts.append("<circle cx=\"\(x(point.x))\" cy=\"\(y(point.y))\" r=\"3.2\" fill=\"\(colour)\"/>")
            }
            let row = Self.top + 12 + Double(index) * 22
            let start = Self.left + plotWidth + 18
            parts.append(
                line(Self.number(start), Self.number(row), Self.number(start + 22), Self.number(row), colour, 3))
            parts.append(text(start + 30, row + 4, one.name, anchor: "start"))
        }
        return parts.joined(separator: "\n") + "\n</svg>\n"
    }

    /// Round numbers that span the values: at least two.
    static func ticks(_ values: [Double]) -> [Double] {
        let low = values.min() ?? 0
        let high = values.max() ?? 1
        let span = high > low ? high - low : max(abs(high), 1)
        let rough = span / 6
        let power = pow(10, floor(log10(rough)))
        let step = ([1, 2, 2.5, 5, 10].first { $0 * power >= rough } ?? 10) * power
        let first = floor(low / step)
        let last = max(ceil(high / step), first + 1)
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }

    private static func label(_ value: Double) -> String {
        (abs(value) < 1e-12 ? 0 : value).significant(4)
    }

    private static func number(_ value: Double) -> String { value.fixed(1) }

    private func text(_ x: Double, _ y: Double, _ content: String, anchor: String = "middle", size: Int = 13) -> String
    {
        let escaped = content.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        return "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor)\" "
            + "font-size=\"\(size)\" fill=\"#222222\">\(escaped)</text>"
    }

    private func line(_ x1: String, _ y1: String, _ x2: String, _ y2: String, _ colour: String, _ width: Int = 1)
        -> String
    {
        "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" stroke=\"\(colour)\" stroke-width=\"\(width)\"/>"
    }
}
