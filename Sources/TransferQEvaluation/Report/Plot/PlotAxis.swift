import Foundation
import TransferQ

/// One axis: round ticks that span the values, and where a value lies between its ends.
package struct PlotAxis {
    package enum Scale: Sendable {
        case linear, logarithmic
        /// From 0 on; it spreads out what lies near 0.
        case squareRoot
    }

    let ticks: [Double]
    let scale: Scale
    private let low: Double
    private let high: Double

    /// - Parameters:
    ///   - values: what must lie on the axis, finite; on a logarithmic one those above 0 count, on one of square roots none may be below 0.
    ///   - count: about how many ticks there is room for, at least 2.
    init(_ values: [Double], scale: Scale = .linear, count: Int) {
        let usable = values.filter { $0.isFinite && (scale == .linear || $0 > 0) }
        let (least, most) = (usable.min() ?? (scale == .linear ? 0 : 1), usable.max() ?? 1)
        self.scale = scale
        if scale == .logarithmic, most / least < 1e9 {
            ticks = Self.powers(least, most, count)
            // A little room beyond the outermost values.
            let room = max(0.04 * log(most / least), 0.1)
            (low, high) = (min(log(least) - room, log(ticks[0])), max(log(most) + room, log(ticks[ticks.count - 1])))
        } else if scale == .squareRoot {
            ticks = Self.squares(most, count)
            (low, high) = (0, max(most, ticks[ticks.count - 1]).squareRoot() * 1.02)
        } else {
            ticks = Self.round(least, most, count)
            (low, high) = (ticks[0], ticks[ticks.count - 1])
        }
    }

    /// The place of a value, 0 at the low end and 1 at the high one.
    func place(_ value: Double) -> Double {
        let scaled =
            switch scale {
            case .linear: value
            case .logarithmic: log(max(value, .leastNormalMagnitude))
            case .squareRoot: max(value, 0).squareRoot()
            }
        return (scaled - low) / (high - low)
    }

    func contains(_ value: Double) -> Bool { (-1e-9...1 + 1e-9).contains(place(value)) }

    /// With a minus sign for a hyphen.
    static func label(_ value: Double) -> String {
        (abs(value) < 1e-12 ? 0 : value).significant(4).replacing("-", with: "−")
    }

    /// Multiples of 1, 2, 2.5 or 5 times a power of ten that span the values: at least two.
    package static func round(_ low: Double, _ high: Double, _ count: Int) -> [Double] {
        let span = high > low ? high - low : max(abs(high), 1)
        let rough = span / Double(max(1, count - 1))
        let power = pow(10, floor(log10(rough)))
        let step = ([1, 2, 2.5, 5].first { $0 * power >= rough * 0.999_999 } ?? 10) * power
        let first = floor(low / step + 1e-9)
        let last = max(ceil(high / step - 1e-9), first + 1)
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }

    /// 0, and numbers of one digit whose roots lie about evenly up to that of the most: at least two.
    private static func squares(_ high: Double, _ count: Int) -> [Double] {
        let high = high > 0 ? high : 1
        var ticks = [0.0]
        for step in 1..<max(3, count) {
            let share = Double(step) / Double(max(2, count - 1))
            let value = high * share * share
            let power = pow(10, floor(log10(value)))
            let tick = (value / power).rounded(.down) * power
            if tick > ticks[ticks.count - 1] { ticks.append(tick) }
        }
        return ticks
    }

    /// 1, 2 and 5 times powers of ten from just below the least value to just above the most, or powers alone.
    private static func powers(_ low: Double, _ high: Double, _ count: Int) -> [Double] {
        let exponents = Int(floor(log10(low)))...Int(ceil(log10(high)))
        for mantissas in [[1.0, 2, 5], [1.0, 3], [1.0]] {
            let all = exponents.flatMap { exponent in mantissas.map { $0 * pow(10, Double(exponent)) } }
            let inside = all.filter { $0 >= low * 0.999 && $0 <= high * 1.001 }
            if inside.count >= 2, inside.count <= count { return inside }
        }
        return [pow(10, Double(exponents.lowerBound)), pow(10, Double(exponents.upperBound))]
    }
}
