import Foundation

/// The scale on which it is guessed what a candidate is worth from what the incumbent is (docs/mathematics.md section 7, statistical
/// pruning).
///
/// Where values have a range it is stretched, c + h·atanh((Q − c)/h), so that its ends are out of reach: close to an end
/// the values of a step differ less, and on this scale they do not. What an incumbent is worth above what answers typically
/// are comes to other candidates in part only.
///
/// Where ``ConfidenceCalibration/standard`` was measured, values have a standard deviation of 0.83 to 0.93 spreads around
/// what the incumbent's lets expect, wherever the incumbent stands; without stretching 0.54 to 0.84.
public struct ValueScale: Sendable {
    /// Where all values lie; nil without bounds.
    public var range: ClosedRange<Double>?
    /// What rewards of typical answers come to, before anything bends them; nil when that is not known.
    public let mean: Double?
    /// Standard deviation of ``surprise(of:beside:)`` to begin with; nil when the first ones must tell.
    public let spread: Double?
    /// How much of what the incumbent is worth above ``mean`` is expected of the others; between 0 and 1.
    public let slope: Double

    public init(
        range: ClosedRange<Double>? = nil, mean: Double? = nil, spread: Double? = nil,
        slope: Double = ConfidenceCalibration.standard.slope
    ) {
        self.range = range
        self.mean = mean
        self.spread = spread
        self.slope = slope
    }

    /// Of values that are rewards.
    init(of reward: any RewardModel, _ calibration: ConfidenceCalibration) {
        let typical = reward.calibration
        self.init(
            range: reward.range, mean: typical?.mean, spread: typical.map { calibration.spread * $0.spread },
            slope: calibration.slope)
    }

    func with(slope: Double) -> ValueScale { ValueScale(range: range, mean: mean, spread: spread, slope: slope) }

    /// Something that a value may well be when nothing is known; 0 without a hint.
    var typical: Double { mean ?? range.map { ($0.lowerBound + $0.upperBound) / 2 } ?? 0 }

    /// How much a value is above what the incumbent's lets expect, on this scale.
    public func surprise(of value: Double, beside incumbent: Double) -> Double {
        let (own, first) = (stretched(value), stretched(incumbent))
        guard let mean else { return own - first }
        return own - mean - slope * (first - mean)
    }

    func stretched(_ value: Double) -> Double {
        guard let range, range.upperBound > range.lowerBound else { return value }
        let (half, centre) = ((range.upperBound - range.lowerBound) / 2, (range.upperBound + range.lowerBound) / 2)
        return centre + half * atanh(min(max((value - centre) / half, -Self.end), Self.end))
    }

    /// Nearer to an end of a range, in parts of its half, values count as this near.
    private static let end = 0.999
}
