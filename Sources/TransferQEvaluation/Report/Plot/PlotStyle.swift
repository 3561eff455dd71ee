/// Colours, dashes and marks of plots, on light and on dark ground.
///
/// Colours extend Okabe and Ito's, which the colour-blind tell apart, and stand at least 3 : 1 out from their ground.
/// Series differ in the shape of their marks and in their dashes as well, and their names stand beside them in the colour
/// of text.
package enum PlotStyle {
    /// Of the series in turn, on white.
    static let light = ["#0072b2", "#d55e00", "#007d5a", "#b05be8", "#661961", "#3a3d0f", "#8a6d00"]
    /// The same on a dark ground.
    static let dark = ["#56b4e9", "#e69f00", "#00b488", "#f0c2da", "#b8e699", "#a97bff", "#c9ad5c"]
    static let dashes = ["", "7 3", "2 3", "10 3 2 3", "5 2 1 2"]

    /// Colours by class, on white: text, lesser text, axes, the grid, the ground.
    static let paper = [
        "ink": "#1d2127", "soft": "#5a626d", "axis": "#6b7480", "grid": "#e3e6ea", "ground": "#ffffff",
        "leader": "#8b939e",
    ]
    private static let night = [
        "ink": "#e8eaed", "soft": "#a9b1bc", "axis": "#8b939e", "grid": "#2c323a", "ground": "#15181d",
        "leader": "#767f8b",
    ]

    static func colour(_ series: Int) -> String { light[series % light.count] }
    static func dash(_ series: Int) -> String { dashes[series % dashes.count] }

    /// What makes plots dark where a reader asks for it; light is what their attributes say.
    package static let css: String = {
        let fills = ["ink", "soft", "ground"].map { "svg.plot .\($0) { fill: \(night[$0] ?? "") }" }
        let strokes = ["axis", "grid", "leader"].map { "svg.plot .\($0) { stroke: \(night[$0] ?? "") }" }
        let series = dark.enumerated().flatMap { index, colour in
            [
                "svg.plot .f\(index) { fill: \(colour) }", "svg.plot .l\(index) { stroke: \(colour) }",
                "svg.plot .o\(index) { stroke: \(colour); fill: \(night["ground"] ?? "") }",
            ]
        }
        return "@media (prefers-color-scheme: dark) {\n" + (fills + strokes + series).joined(separator: "\n") + "\n}"
    }()

    /// A mark of a series: circle, square, triangle, diamond, upside-down triangle.
    ///
    /// - Parameter around: how many marks of other series stand at the same place; it is drawn as an outline around them.
    static func mark(series: Int, x: Double, y: Double, around: Int) -> String {
        let r = 4 + 2 * Double(around)
        let n = SVGText.number
        let path =
            switch series % 5 {
            case 0: "M\(n(x - r)) \(n(y))a\(n(r)) \(n(r)) 0 1 0 \(n(2 * r)) 0a\(n(r)) \(n(r)) 0 1 0 \(n(-2 * r)) 0z"
            case 1: "M\(n(x - r)) \(n(y - r))h\(n(2 * r))v\(n(2 * r))h\(n(-2 * r))z"
            case 2: "M\(n(x)) \(n(y - 1.3 * r))l\(n(1.3 * r)) \(n(2.2 * r))h\(n(-2.6 * r))z"
            case 3:
                "M\(n(x)) \(n(y - 1.4 * r))l\(n(1.4 * r)) \(n(1.4 * r))l\(n(-1.4 * r)) \(n(1.4 * r))l\(n(-1.4 * r)) \(n(-1.4 * r))z"
            default: "M\(n(x)) \(n(y + 1.3 * r))l\(n(1.3 * r)) \(n(-2.2 * r))h\(n(-2.6 * r))z"
            }
        let index = series % light.count
        let paint =
            around == 0
            ? "class=\"f\(index)\" fill=\"\(colour(series))\""
            : "class=\"l\(index)\" fill=\"none\" stroke=\"\(colour(series))\" stroke-width=\"1.5\""
        return "<path \(paint) d=\"\(path)\">"
    }
}
