import Foundation

/// (r − mean) / spread: a reward in standard deviations of typical answers, so that α means the same across rewards.
public struct StandardizedReward: RewardModel {
    let base: any RewardModel
    let scale: RewardCalibration
    public let name: String

    /// - Parameter scale: when nil, the reward's own calibration.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` when there is none, or its spread is not
    ///   above 0, or too small for the reward's range to be finite in spreads.
    public init(_ base: any RewardModel, by scale: RewardCalibration? = nil) throws {
        guard let known = scale ?? base.calibration else {
            throw TransferQError.rewardSpecification(
                specification: "z:\(base.name)",
                reason: "its mean and spread are not known; measure them with transferq reward calibrate, "
                    + "and write z:MEAN,SPREAD:\(base.name)")
        }
        guard known.spread > 0, known.spread.isFinite, known.mean.isFinite else {
            throw TransferQError.rewardSpecification(
                specification: "z:\(base.name)", reason: "the mean must be finite and the spread finite and above 0")
        }
        if let range = base.range {
            // An end of the range that is infinite by itself may stay so.
            for end in [range.lowerBound, range.upperBound] where end.isFinite {
                guard Self.transformed(end, by: known).isFinite else {
                    throw TransferQError.rewardSpecification(
                        specification: "z:\(known.mean),\(known.spread):\(base.name)",
                        reason: "a reward of \(end) comes to no finite number of spreads; give a larger spread, as "
                            + "measured by transferq reward calibrate")
                }
            }
        }
        self.base = base
        self.scale = known
        name = scale.map { "z:\($0.mean),\($0.spread):\(base.name)" } ?? "z:\(base.name)"
    }

    public var calibration: RewardCalibration? { RewardCalibration(mean: 0, spread: 1, count: scale.count) }
    public var instruction: String? { base.instruction }

    public var files: [String] { base.files }

    public var range: ClosedRange<Double>? {
        base.range.map { transformed($0.lowerBound)...transformed($0.upperBound) }
    }

    private func transformed(_ reward: Double) -> Double { Self.transformed(reward, by: scale) }

    private static func transformed(_ reward: Double, by scale: RewardCalibration) -> Double {
        (reward - scale.mean) / scale.spread
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await base.checkedRewards(for: completions).map(transformed)
    }

    public func stateSource(for conversation: [Message]) async throws -> StateSource? {
        try await base.stateSource(for: conversation)
    }
}

/// A reward cut to an interval, or bent into one.
public struct BoundedReward: RewardModel {
    enum Bound: Equatable {
        /// Values outside become its ends.
        case clip(ClosedRange<Double>)
        /// R·tanh(r/R): keeps the order of all rewards, and small ones nearly as they are.
        case squash(Double)
    }

    let base: any RewardModel
    let bound: Bound

    public var name: String {
        switch bound {
        case .clip(let range): "clip:\(range.lowerBound)..\(range.upperBound):\(base.name)"
        case .squash(let limit): "squash:\(limit):\(base.name)"
        }
    }

    public var files: [String] { base.files }

    /// Where nothing is bent or cut, it is the reward's own.
    public var unit: Double { base.unit }
    public var instruction: String? { base.instruction }

    public var range: ClosedRange<Double>? {
        let own: ClosedRange<Double>
        switch bound {
        case .clip(let range): own = range
        case .squash(let limit): own = -limit...limit
        }
        guard let range = base.range else { return own }
        return bounded(range.lowerBound)...bounded(range.upperBound)
    }

    private func bounded(_ reward: Double) -> Double {
        switch bound {
        case .clip(let range): min(max(reward, range.lowerBound), range.upperBound)
        case .squash(let limit): limit * tanh(reward / limit)
        }
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await base.checkedRewards(for: completions).map(bounded)
    }

    public func stateSource(for conversation: [Message]) async throws -> StateSource? {
        try await base.stateSource(for: conversation)
    }
}
