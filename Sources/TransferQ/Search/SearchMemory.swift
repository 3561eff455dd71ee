import Synchronization

/// What one generation's search knows: values and candidates of states it may come to, rollouts that others may go on
/// from, and how values have differed so far.
///
/// One generation uses it, a step at a time.
final class SearchMemory: Sendable {
    private struct Contents {
        /// By response and candidate.
        var estimates: [[Token]: ValueEstimate] = [:]
        /// Rollouts of candidates whose N are not all there, by response and candidate.
        var partial: [[Token]: [ScoredRollout]] = [:]
        /// By response.
        var proposals: [[Token]: Proposal] = [:]
        /// Greedy rollouts by response and candidate.
        var rollouts: [[Token]: Rollout] = [:]
        var differences: DifferenceModel
        /// Steps taken although other candidates were looked at, and those of them that another one won; to begin with as
        /// many as the calibration counts for.
        var contests: (count: Double, lost: Double)
        /// Chances taken by leaving candidates out, over the steps decided.
        var risk = (taken: 0.0, steps: 0)
        /// The value of the last choice.
        var lastValue: Double?
        /// The step whose values broke the range that the user stated.
        var brokenStep: Int?
    }

    private let contents: Mutex<Contents>

    init(_ calibration: ConfidenceCalibration = .standard) {
        contents = Mutex(
            Contents(
                differences: DifferenceModel(calibration),
                contests: (Self.priorContests, Self.priorContests * calibration.lossRate)))
    }

    private static let priorContests = 4.0

    /// Forgets what `response` has ruled out.
    func advance(to response: [Token]) {
        contents.withLock { contents in
            func isAhead(_ key: [Token]) -> Bool { key.starts(with: response) }
            contents.estimates = contents.estimates.filter { isAhead($0.key) }
            contents.partial = contents.partial.filter { isAhead($0.key) }
            contents.proposals = contents.proposals.filter { isAhead($0.key) }
            contents.rollouts = contents.rollouts.filter { key, rollout in
                (key + rollout.tokens).starts(with: response)
            }
        }
    }

    func estimate(of text: [Token]) -> ValueEstimate? { contents.withLock { $0.estimates[text] } }

    func keep(_ estimate: ValueEstimate, of text: [Token]) {
        contents.withLock { contents in
            contents.estimates[text] = estimate
            contents.partial[text] = nil
        }
    }

    func partial(of text: [Token]) -> [ScoredRollout] { contents.withLock { $0.partial[text] ?? [] } }

    func keep(partial rollouts: [ScoredRollout], of text: [Token]) {
        contents.withLock { $0.partial[text] = rollouts }
    }

    func proposal(after response: [Token]) -> Proposal? { contents.withLock { $0.proposals[response] } }

    func keep(_ proposal: Proposal, after response: [Token]) { contents.withLock { $0.proposals[response] = proposal } }

    /// A greedy rollout of `text`, for others that come along the same way.
    func keep(_ rollout: Rollout, of text: [Token]) { contents.withLock { $0.rollouts[text] = rollout } }

    /// The longest known beginning of the greedy rollout of `text`.
    func beginning(of text: [Token]) -> Rollout {
        var longest = Rollout(finishReason: .length)
        for (rollout, passed) in rollouts(through: text)
        where rollout.tokens.count - passed > longest.tokens.count || isEnd(rollout, at: passed) {
            longest = rollout.dropping(passed, length: .max - passed)
        }
        return longest
    }

    /// The most likely tokens after `text`, as a greedy rollout that came through it saw them.
    func candidates(after text: [Token]) -> [Candidate]? {
        rollouts(through: text).first { $1 < $0.candidates.count }.map { $0.candidates[$1] }
    }

    /// The rollouts that come through `text`, with how many of their tokens lead there; the latest begun first.
    private func rollouts(through text: [Token]) -> [(rollout: Rollout, passed: Int)] {
        let all = contents.withLock { contents in
            contents.rollouts.compactMap { key, rollout -> (rollout: Rollout, passed: Int)? in
                guard key.count <= text.count, text.starts(with: key),
                    rollout.tokens.starts(with: text.dropFirst(key.count))
                else { return nil }
                return (rollout, text.count - key.count)
            }
        }
        return all.sorted { $0.passed < $1.passed }
    }

    private func isEnd(_ rollout: Rollout, at passed: Int) -> Bool {
        rollout.finishReason == .stop && rollout.tokens.count == passed
    }

    var differences: DifferenceModel { contents.withLock { $0.differences } }

    /// Learns from a decided step.
    ///
    /// - Parameter surprises: of the step's candidates beside the incumbent whose values are known.
    func learn(surprises: [Double], contested: Bool, lost: Bool) {
        contents.withLock { contents in
            contents.differences.add(step: surprises)
            guard contested else { return }
            contents.contests.count += 1
            contents.contests.lost += lost ? 1 : 0
        }
    }

    /// How often the incumbent of a step loses to one of the other candidates that were looked at.
    var lossRate: Double { contents.withLock { $0.contests.lost / $0.contests.count } }

    /// What a step may risk so that the mean over the steps stays within `rate`: what earlier steps left, but no more than
    /// two steps' worth.
    ///
    /// With ten steps' worth the mean was kept as well, but it went where most was at stake.
    func allowedRisk(rate: Double) -> Double {
        contents.withLock { contents in
            min(Self.mostRisk * rate, rate * Double(contents.risk.steps + 1) - contents.risk.taken)
        }
    }

    static let mostRisk = 2.0

    func take(risk: Double) {
        contents.withLock { contents in
            contents.risk.taken += risk
            contents.risk.steps += 1
        }
    }

    var lastValue: Double? { contents.withLock { $0.lastValue } }

    func keep(lastValue value: Double?) { contents.withLock { $0.lastValue = value ?? $0.lastValue } }

    var brokenStep: Int? { contents.withLock { $0.brokenStep } }

    func reportBroken(step: Int) { contents.withLock { $0.brokenStep = step } }
}
