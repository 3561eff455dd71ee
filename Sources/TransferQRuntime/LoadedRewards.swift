public import TransferQ
import TransferQLlama
public import TransferQRewards

/// What candidates are valued by, made once for all prompts that it serves.
public struct LoadedRewards: Sendable {
    /// The target.
    public let target: (any RewardModel)?
    /// What the baseline was aligned with.
    public let baseline: (any RewardModel)?
    /// In place of rollouts.
    public let value: LinearValueHead?
    /// What `confidence` assumes; nil for the standard.
    public let confidence: ConfidenceCalibration?
    /// Paths of all files that these were made from.
    public let files: [String]

    public var hasValues: Bool { target != nil || value != nil }

    /// A reward that is there already.
    public init(target: any RewardModel) {
        self.target = target
        baseline = nil
        value = nil
        confidence = nil
        files = target.files
    }

    /// - Parameter catalogue: the kinds of rewards that a term may name.
    /// - Throws: what is wrong with a term or a file.
    public init(_ scoring: ScoringSpec, from catalogue: RewardCatalogue) async throws {
        func parsed(_ reward: RewardSpec?) async throws -> (any RewardModel)? {
            guard let reward else { return nil }
            return try await catalogue.parse(reward.terms)
        }
        target = try await parsed(scoring.reward)
        baseline = try await parsed(scoring.baselineReward)
        value = try scoring.valueHead.map(LinearValueHead.read)
        confidence = try scoring.confidenceCalibration.map(ConfidenceFile.read)
        files =
            (target?.files ?? []) + (baseline?.files ?? [])
            + [scoring.valueHead, scoring.confidenceCalibration].compactMap { $0 }
    }
}
