import TransferQ

/// How much room a plot has, in units of its text, which is 13 high.
package enum PlotSize: String, CaseIterable, Sendable {
    /// For a page on a desk, or a paper.
    case wide
    /// For a telephone.
    case narrow

    var width: Double { self == .wide ? 640 : 340 }
    var height: Double { self == .wide ? 400 : 350 }
    var ticks: Int { self == .wide ? 7 : 4 }
}

/// The area that points lie in, within a plot.
struct PlotFrame {
    let left: Double
    let right: Double
    let top: Double
    let bottom: Double

    func x(_ place: Double) -> Double { left + place * (right - left) }
    func y(_ place: Double) -> Double { bottom - place * (bottom - top) }
}

/// What all plots have around them: the element, a title and a description for those who do not see it, the horizontal axis.
struct PlotSheet {
    let id: String
    let title: String
    let summary: String
    let size: PlotSize
    /// Whether it stands in a file of its own, where nothing else says what it is.
    let isAlone: Bool

    /// Height of what stands above the axes.
    var head: Double { isAlone ? 34 : 8 }

    func svg(height: Double, _ body: SVGText) -> String {
        let (name, about) = ("\(id)-\(size.rawValue)-title", "\(id)-\(size.rawValue)-summary")
        let box = "0 0 \(SVGText.number(size.width)) \(SVGText.number(height))"
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot \(size.rawValue)\" viewBox=\"\(box)\" role=\"img\" "
                + "aria-labelledby=\"\(name) \(about)\" font-family=\"system-ui, sans-serif\">",
            "<title id=\"\(name)\">\(SVGText.escaped(title))</title>",
            "<desc id=\"\(about)\">\(SVGText.escaped(summary))</desc>",
        ]
        if isAlone {
            lines.append("<style>\(PlotStyle.css)</style>")
            lines.append(
                "<rect class=\"ground\" width=\"100%\" height=\"100%\" fill=\"\(PlotStyle.paper["ground"] ?? "")\"/>")
        }
        var head = SVGText()
        if isAlone {
            let largest = min(15, 15 * (size.width - 24) / LabelPlacement.width(title, size: 15))
            head.text(title, 12, 22, .start, size: largest)
        }
        return (lines + head.lines + body.lines + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    /// Ticks, grid and name of the horizontal axis.
    func drawX(_ axis: PlotAxis, _ frame: PlotFrame, label: String, on svg: inout SVGText) {
        var free = -Double.infinity
        for tick in axis.ticks {
            let (x, text) = (frame.x(axis.place(tick)), PlotAxis.label(tick))
            svg.line(x, frame.top, x, frame.bottom, kind: "grid")
            let half = LabelPlacement.width(text, size: 12) / 2
            guard x - half > free else { continue }
            svg.text(text, max(half + 1, min(x, size.width - half - 1)), frame.bottom + 17, kind: "soft", size: 12)
            free = x + half + 4
        }
        svg.line(frame.left, frame.bottom, frame.right, frame.bottom, kind: "axis")
        svg.text(fitted(label), frame.right, frame.bottom + 37, .end, kind: "soft", size: 12.5)
    }

    /// A text that is no wider than the plot.
    func fitted(_ label: String) -> String { Self.shortened(label, to: size.width - 16) }

    /// A text with its middle left out where it is wider than there is room.
    static func shortened(_ text: String, to width: Double) -> String {
        guard LabelPlacement.width(text) > width else { return text }
        let letters = Array(text)
        var kept = letters.count - 1
        func short() -> String {
            let front = (kept + 1) / 2
            return String(letters[..<front]) + "…" + String(letters[(letters.count - (kept - front))...])
        }
        while kept > 4, LabelPlacement.width(short()) > width { kept -= 1 }
        return short()
    }
}
