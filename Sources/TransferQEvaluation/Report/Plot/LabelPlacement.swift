import TransferQ

/// Puts labels beside points so that they cover neither each other nor, where there is room, what is drawn.
package struct LabelPlacement {
    package struct Box: Equatable {
        var left: Double
        var top: Double
        var right: Double
        var bottom: Double

        package func overlap(_ other: Box) -> Double {
            max(0, min(right, other.right) - max(left, other.left))
                * max(0, min(bottom, other.bottom) - max(top, other.top))
        }

        func grown(_ margin: Double) -> Box {
            Box(left: left - margin, top: top - margin, right: right + margin, bottom: bottom + margin)
        }
    }

    struct Label {
        let text: String
        /// Room in front of the text, for a sample of what it names.
        var lead = 0.0
        /// Where it may stand: any of these points belongs to what it names, the first is liked best.
        let anchors: [(x: Double, y: Double)]
    }

    struct Placed {
        let text: String
        let box: Box
        /// The end of a thin line to the point, for a label that stands away from it.
        let leader: (x: Double, y: Double)?
    }

    static let size = 12.5
    private static let height = 15.0

    let frame: Box
    /// Marks, which a label should not cover, and lines, which it may cross rather than stand far away.
    var marks: [Box] = []
    var lines: [Box] = []

    init(frame: Box) { self.frame = frame }

    /// A generous guess of a text's width: it is not known before it is drawn, and in another font.
    static func width(_ text: String, size: Double = size) -> Double {
        text.unicodeScalars.reduce(0) { $0 + ("iljtf.,:;|'[]() ".unicodeScalars.contains($1) ? 0.36 : 0.62) } * size
    }

    /// Adds a line as boxes along it.
    mutating func addLine(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) {
        let length = ((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1)).squareRoot()
        let steps = max(1, min(400, Int(length / 5)))
        for step in 0...steps {
            let (x, y) = (x1 + (x2 - x1) * Double(step) / Double(steps), y1 + (y2 - y1) * Double(step) / Double(steps))
            lines.append(Box(left: x - 1.5, top: y - 1.5, right: x + 1.5, bottom: y + 1.5))
        }
    }

    /// The labels in their order. Each is placed where it costs least, and again once the others stand.
    func place(_ labels: [Label]) -> [Placed] {
        let choices = labels.map(choices)
        var chosen = [Int?](repeating: nil, count: labels.count)
        for _ in 0..<3 {
            for index in labels.indices {
                let others = labels.indices.compactMap { other in
                    other == index ? nil : chosen[other].map { choices[other][$0].box.grown(2) }
                }
                chosen[index] = choices[index].indices.min {
                    cost(choices[index][$0], others) < cost(choices[index][$1], others)
                }
            }
        }
        return labels.indices.compactMap { index in
            chosen[index].map { pick in
                let choice = choices[index][pick]
                return Placed(
                    text: labels[index].text, box: choice.box, leader: choice.distance > 16 ? choice.anchor : nil)
            }
        }
    }

    private struct Choice {
        let box: Box
        let anchor: (x: Double, y: Double)
        let distance: Double
        /// Of standing on what is drawn and away from the point.
        let cost: Double
    }

    private func cost(_ choice: Choice, _ others: [Box]) -> Double {
        choice.cost + others.reduce(0) { $0 + 1000 * choice.box.overlap($1) }
    }

    private func choices(_ label: Label) -> [Choice] {
        let width = label.lead + Self.width(label.text)
        var choices: [Choice] = []
        for (place, anchor) in label.anchors.enumerated() {
            for distance in [9.0, 14, 22, 34, 50, 70, 95, 130] {
                for (dx, dy) in [
                    (1.0, 0.0), (-1, 0), (0, -1), (0, 1), (0.7, -0.7), (0.7, 0.7), (-0.7, -0.7), (-0.7, 0.7),
                ] {
                    let (x, y) = (anchor.x + dx * distance, anchor.y + dy * distance)
                    let left = dx > 0 ? x : dx < 0 ? x - width : x - width / 2
                    let middle = y + (dy < 0 ? -1 : dy > 0 ? 1 : 0) * Self.height / 2 * (dx == 0 ? 1 : 0.6)
                    let box = Box(
                        left: left, top: middle - Self.height / 2, right: left + width, bottom: middle + Self.height / 2
                    )
                    guard box.left >= frame.left, box.right <= frame.right, box.top >= frame.top,
                        box.bottom <= frame.bottom
                    else { continue }
                    let onMarks = marks.reduce(0) { $0 + box.overlap($1) }
                    let onLines = lines.reduce(0) { $0 + box.overlap($1) }
                    choices.append(
                        Choice(
                            box: box, anchor: anchor, distance: distance,
                            cost: 4 * onMarks + 1.5 * onLines + distance * 1.2 + Double(place) * 4 + (dx > 0 ? 0 : 2)))
                }
            }
        }
        return choices
    }
}
