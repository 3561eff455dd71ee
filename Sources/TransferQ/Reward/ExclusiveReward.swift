/// A reward that is asked one batch at a time, for answers that are worked on together: models, programs and servers behind
/// a reward then see what they would see answer by answer.
public struct ExclusiveReward: RewardModel {
    private let base: any RewardModel
    private let turn = Turn()

    public init(_ base: any RewardModel) { self.base = base }

    public var name: String { base.name }
    public var range: ClosedRange<Double>? { base.range }
    public var calibration: RewardCalibration? { base.calibration }
    public var unit: Double { base.unit }
    public var instruction: String? { base.instruction }
    public var partNames: [String] { base.partNames }
    public var files: [String] { base.files }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await turn.take()
        defer { turn.pass() }
        return try await base.rewards(for: completions)
    }

    public func scores(for completions: [Completion]) async throws -> [RewardScore] {
        try await turn.take()
        defer { turn.pass() }
        return try await base.scores(for: completions)
    }

    public func stateSource(for conversation: [Message]) async throws -> StateSource? {
        try await base.stateSource(for: conversation)
    }
}
