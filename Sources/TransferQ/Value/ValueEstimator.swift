/// Estimates Q(s, z) for candidates z after a response; a candidate is one token, or a block of them.
public protocol ValueEstimator: Sendable {
    /// For messages; the type's name unless it says otherwise.
    var name: String { get }

    /// One estimate per candidate, in order.
    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates

    /// The closed interval that every estimate lies in, when there is one: what pruning by bounds goes by. Its lower end is
    /// −∞ where candidates may be ``ValueEstimate/impossible(rollouts:)``.
    var valueRange: ClosedRange<Double>? { get }

    /// What is known of how values differ before any is.
    func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale
}

extension ValueEstimator {
    public var name: String { String(describing: Self.self) }
    public var valueRange: ClosedRange<Double>? { nil }
    public func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale { ValueScale(slope: calibration.slope) }
}

/// Values by rollouts: what a search can ask for in parts, and ahead of the step that needs them.
protocol RolloutEstimator: ValueEstimator {
    var scorer: RolloutScorer { get }

    /// Whether the value is the plain mean of its rollouts' rewards, so that some of them bound it.
    var isMean: Bool { get }

    /// One estimate per place, in order, from the rollouts that the place asks for.
    func estimates(for places: [ValuePlace], in state: AnswerState) async throws -> ValueEstimates
}

extension RolloutEstimator {
    var lookAhead: LookAhead { scorer.lookAhead }
    func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale { ValueScale(of: scorer.reward, calibration) }

    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
        let places = candidates.map { ValuePlace(candidate: $0, numbers: 0..<lookAhead.rollouts) }
        return try await estimates(for: places, in: state)
    }
}

/// A candidate whose value is wanted, at the state of the call or further on.
struct ValuePlace: Sendable {
    /// Tokens between the response and the candidate.
    var path: [Token] = []
    var candidate: [Token]
    /// Which of the N rollouts.
    var numbers: Range<Int>
    /// What a greedy rollout is known to begin with.
    var beginning = Rollout(finishReason: .length)
    /// A shorter horizon than the method's, for a first look.
    var horizon: Int?
    /// How many candidates the rollout shall carry for each of its tokens.
    var candidateCount = 0

    /// What follows the response before any rollout.
    var prefix: [Token] { path + candidate }
}

/// Q̂(s, z) and what it was computed from.
public struct ValueEstimate: Sendable {
    /// In units of reward; finite, or −∞ for an impossible candidate.
    public var value: Double
    public var rollouts: [ScoredRollout]
    /// See ``ScoredCandidate/effectiveSampleSize``.
    public var effectiveSampleSize: Double?
    /// Whether there is no way on from the candidate that the reference does not rule out.
    public private(set) var isImpossible = false

    public init(value: Double, rollouts: [ScoredRollout] = [], effectiveSampleSize: Double? = nil) {
        self.value = value
        self.rollouts = rollouts
        self.effectiveSampleSize = effectiveSampleSize
    }

    /// A candidate that ranks behind every other one. Where all candidates of a step are impossible they count as equally
    /// good, and the tilted policy chooses.
    public static func impossible(rollouts: [ScoredRollout] = []) -> ValueEstimate {
        var estimate = ValueEstimate(
            value: -.infinity, rollouts: rollouts, effectiveSampleSize: rollouts.isEmpty ? nil : 0)
        estimate.isImpossible = true
        return estimate
    }
}

/// Estimates of one step, with their cost.
public struct ValueEstimates: Sendable {
    public var estimates: [ValueEstimate]
    public var usage: Usage

    public init(estimates: [ValueEstimate], usage: Usage = Usage()) {
        self.estimates = estimates
        self.usage = usage
    }
}
