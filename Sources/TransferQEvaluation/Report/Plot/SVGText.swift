import TransferQ

/// The few elements of SVG that plots are made of, as text.
///
/// Every element carries its colours for light paper as attributes, which any reader of SVG understands, and a class,
/// through which ``PlotStyle/css`` replaces them where a page is dark.
struct SVGText {
    private(set) var lines: [String] = []

    mutating func add(_ line: String) { lines.append(line) }

    /// With the characters that markup gives a meaning written as entities.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // XML allows no control characters but these, not even as entities.
            case "\t", "\n", "\r": result.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A coordinate, to a tenth of a unit.
    static func number(_ value: Double) -> String {
        let text = value.fixed(1)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text == "-0" ? "0" : text
    }

    enum Anchor: String { case start, middle, end }

    mutating func text(
        _ content: String, _ x: Double, _ y: Double, _ anchor: Anchor = .middle, kind: String = "ink",
        size: Double = 13,
        turned: Bool = false
    ) {
        let turn = turned ? " transform=\"rotate(-90 \(Self.number(x)) \(Self.number(y)))\"" : ""
        let fill = PlotStyle.paper[kind] ?? ""
        add(
            "<text class=\"\(kind)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor)\" "
                + "font-size=\"\(Self.number(size))\" fill=\"\(fill)\"\(turn)>\(Self.escaped(content))</text>")
    }

    mutating func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, kind: String, colour: String? = nil, width: Double = 1
    ) {
        let stroke = colour ?? PlotStyle.paper[kind] ?? ""
        add(
            "<line class=\"\(kind)\" x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" "
                + "y2=\"\(Self.number(y2))\" stroke=\"\(stroke)\" stroke-width=\"\(Self.number(width))\"/>")
    }
}
