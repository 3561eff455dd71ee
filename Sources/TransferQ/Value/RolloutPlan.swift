/// How a search may ask for values by rollouts: in parts, and ahead of the step that needs them. Estimators of this module
/// hand one out; it holds nothing for anybody else.
public struct RolloutPlan: Sendable {
    /// The policy that rolls out.
    let policy: CheckedPolicy
    let lookAhead: LookAhead
    /// One estimate per place, in order, from the rollouts that the place asks for.
    let estimates: @Sendable (_ places: [ValuePlace], _ state: AnswerState) async throws -> ValueEstimates
}

/// Values by rollouts.
protocol RolloutEstimator: ValueEstimator {
    var scorer: RolloutScorer { get }

    /// One estimate per place, in order, from the rollouts that the place asks for.
    func estimates(for places: [ValuePlace], in state: AnswerState) async throws -> ValueEstimates
}

extension RolloutEstimator {
    var rolloutPlan: RolloutPlan? {
        RolloutPlan(policy: scorer.policy, lookAhead: scorer.lookAhead) { try await estimates(for: $0, in: $1) }
    }

    func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale { ValueScale(of: scorer.reward, calibration) }

    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
        let places = candidates.map { ValuePlace(candidate: $0, numbers: 0..<scorer.lookAhead.rollouts) }
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
