import Foundation

/// What a search found out about one state.
struct SearchOutcome: Sendable {
    /// Of each candidate; nil for those that were left out.
    var estimates: [ValueEstimate?]
    /// The candidate with the best score.
    var winner: Int
    var report = SearchReport()
    var usage = Usage()
}

/// How a step was decided.
public struct SearchReport: Hashable, Sendable {
    public var candidates = 0
    /// Candidates whose values were known.
    public var evaluated = 0
    /// Whether no candidate besides the one that wins at equal values had to be looked at.
    public var isCertified = false
    /// Whether a gate left the choice to the tilted policy.
    public var isGated = false
    /// The chance that the choice is another one than the full search's, by the model of differences.
    public var expectedError = 0.0
    /// 1 when candidates that `confidence` had left out were evaluated to check, else 0; and 1 when one of them was better
    /// than the choice made without them, else 0. A step counts once: its candidates are compared with one and the same.
    public var audited = 0
    public var auditMisses = 0
    /// A value that lay outside the range that the user stated for the reward.
    public var outsideRange: Double?
}

/// Finds the candidate with the best score, log π_tilt(z) + Q(z)/α (+ Gumbel noise), and gives values only to
/// candidates that can be it (theory.md section 7).
///
/// A step asks again and again what could still change the choice, and has that evaluated in one batch, filled up with
/// what coming steps will probably ask for. Values do not depend on when they were asked for, so neither does the choice.
struct CandidateSearch {
    let proposer: Proposer
    let estimator: any ValueEstimator
    let settings: SearchSettings
    /// In units of reward per nat.
    let alpha: Double
    let calibration: ConfidenceCalibration
    /// Rollouts that a batch is filled up to when the settings name no width.
    let batchWidth: Int
    let state: AnswerState
    /// Whether the answer's budget is used up, the usage of this search included.
    let isSpent: @Sendable (Usage) -> Bool
    /// Whether all values are wanted, whatever the settings.
    var needsAll = false

    var memory: SearchMemory { proposer.memory }

    func outcome(for proposal: Proposal) async throws -> SearchOutcome {
        memory.advance(to: state.response)
        if let range { try TiltedDistribution.check(alpha: alpha, range: range) }
        var usage = Usage()
        var report = SearchReport(candidates: proposal.tokens.count)
        if !needsAll, isGated(proposal) {
            report.isGated = true
            let estimates = [ValueEstimate?](repeating: nil, count: proposal.tokens.count)
            return SearchOutcome(estimates: estimates, winner: proposal.anchor, report: report)
        }
        var lost: Set<Int> = []
        var audit: Audit?
        while true {
            let view = StepView(proposal, at: state, search: self, lost: lost)
            let verdict = judge(view)
            let isSpent = isSpent(usage)
            if verdict.open.isEmpty, !isSpent {
                audit = audit ?? Audit(of: verdict, view, self)
                if let unknown = audit?.unknown(in: view), !unknown.isEmpty {
                    usage += try await evaluate(try await plan(unknown, view: view))
                    continue
                }
            }
            if verdict.open.isEmpty || isSpent {
                audit?.report(view, to: &report)
                return conclude(view, verdict, report: &report, usage: usage)
            }
            if settings.isRace, let rollouts = estimator as? any RolloutEstimator, !needsAll {
                lost.formUnion(try await race(verdict.open, view, rollouts, usage: &usage))
            }
            let wave = verdict.open.filter { !lost.contains($0) }
            usage += try await evaluate(try await plan(wave, view: view))
            if let value = brokenValue(proposal) { report.outsideRange = value }
        }
    }

    /// Whether the tilted policy is sure enough of itself to be left alone (approximate).
    func isGated(_ proposal: Proposal) -> Bool {
        let logs = LogSpace.logSoftmax(proposal.logPolicy)
        if let least = settings.gateEntropy, LogSpace.entropy(logs) < least { return true }
        guard let most = settings.gateProbability, let first = proposal.logPolicy.max() else { return false }
        return exp(first) >= most
    }

    private func conclude(
        _ view: StepView, _ verdict: Verdict, report: inout SearchReport, usage: Usage
    ) -> SearchOutcome {
        let anchor = view.proposal.anchor
        let known = view.proposal.tokens.indices.filter { view.isKnown($0) }
        report.evaluated = known.count
        report.isCertified = !known.contains { $0 != anchor }
        report.expectedError = verdict.risk
        memory.take(risk: verdict.risk)
        let winner = verdict.winner
        // Nothing can be learned from how far impossible candidates are from others.
        if let first = view.value(of: anchor), first.isFinite {
            let others = known.filter { $0 != anchor }.compactMap { view.value(of: $0) }.filter { $0 != -.infinity }
            let scale = scale
            memory.learn(
                surprises: others.map { scale.surprise(of: $0, beside: first) },
                contested: !report.isCertified, lost: winner != anchor)
        }
        memory.keep(lastValue: view.value(of: winner).flatMap { $0.isFinite ? $0 : nil })
        let estimates = view.proposal.tokens.map { memory.estimate(of: state.response + [$0]) }
        return SearchOutcome(estimates: estimates, winner: winner, report: report, usage: usage)
    }

    /// A value outside the range that the user stated; from then on the step is one without a range.
    private func brokenValue(_ proposal: Proposal) -> Double? {
        guard let range = settings.range, estimator.valueRange == nil, memory.brokenStep != state.step else {
            return nil
        }
        let rewards = proposal.tokens.flatMap { token in
            let text = state.response + [token]
            return memory.estimate(of: text)?.rewards ?? memory.partial(of: text).map(\.reward)
        }
        guard let value = rewards.first(where: { !range.contains($0) }) else { return nil }
        memory.reportBroken(step: state.step)
        return value
    }

    /// The range that values at this step are known to lie in; its lower end is −∞ where candidates may be impossible.
    var range: ClosedRange<Double>? {
        if let range = estimator.valueRange { return range }
        guard estimator is PrefixReward || (estimator as? any RolloutEstimator)?.isMean ?? false else { return nil }
        return memory.brokenStep == state.step ? nil : settings.range
    }

    // MARK: Evaluation

    /// Has places evaluated and remembers what they come to.
    private func evaluate(_ places: [ValuePlace]) async throws -> Usage {
        guard let rollouts = estimator as? any RolloutEstimator else {
            let values = try await estimator.checkedEstimates(for: places.map(\.candidate), in: state)
            for (place, estimate) in zip(places, values.estimates) { keep(estimate, of: place) }
            return values.usage
        }
        let values = try await rollouts.checkedEstimates(for: places, in: state)
        for (place, estimate) in zip(places, values.estimates) {
            let text = state.response + place.prefix
            if rollouts.lookAhead.sampling.isGreedy, let rollout = estimate.rollouts.first?.rollout {
                memory.keep(rollout, of: text)
            }
            let all = memory.partial(of: text) + estimate.rollouts
            // A candidate that ends the response has one rollout, whatever N is.
            if place.numbers.upperBound >= rollouts.lookAhead.rollouts || estimate.rollouts.count < place.numbers.count
            {
                keep(place.numbers.lowerBound == 0 ? estimate : ValueEstimate(meanOf: all), of: place)
            } else {
                memory.keep(partial: all, of: text)
            }
        }
        return values.usage
    }

    private func keep(_ estimate: ValueEstimate, of place: ValuePlace) {
        memory.keep(estimate, of: state.response + place.prefix)
    }

    /// Successive halving (approximate): candidates whose unfinished rollouts are worth less drop out.
    private func race(
        _ open: [Int], _ view: StepView, _ rollouts: any RolloutEstimator, usage: inout Usage
    ) async throws -> Set<Int> {
        var left = open
        for part in [4, 2] where left.count > 2 {
            let horizon = max(1, rollouts.lookAhead.horizon / part)
            let places = left.map { index in
                var place = self.place(view.proposal.tokens[index], path: [], rollouts)
                place.horizon = horizon
                return place
            }
            let values = try await rollouts.checkedEstimates(for: places, in: state)
            usage += values.usage
            for (place, estimate) in zip(places, values.estimates) {
                if rollouts.lookAhead.sampling.isGreedy, let rollout = estimate.rollouts.first?.rollout {
                    memory.keep(rollout, of: state.response + place.prefix)
                }
            }
            let scores = TiltedDistribution(
                logTilt: left.map { view.proposal.priorities[$0] },
                values: values.estimates.map { .known($0.value) }, alpha: alpha, origin: 0
            ).scores
            let best = left.indices.sorted { scores[$0] > scores[$1] }.prefix((left.count + 1) / 2)
            left = best.map { left[$0] }
        }
        return Set(open).subtracting(left)
    }

    /// What to ask for to value a candidate.
    func place(_ token: Token, path: [Token], _ rollouts: any RolloutEstimator) -> ValuePlace {
        let count = rollouts.lookAhead.rollouts
        var place = ValuePlace(path: path, candidate: [token], numbers: 0..<count)
        let text = state.response + place.prefix
        if rollouts.lookAhead.sampling.isGreedy {
            if settings.isOn(.reuse) { place.beginning = memory.beginning(of: text) }
            // Where the tilted policy rolls out, it comes through the states of coming steps.
            let isTilted = rollouts.scorer.policy === proposer.policy
            if settings.isOn(.lookAhead), isTilted { place.candidateCount = proposer.count }
        } else if rollouts.isMean, count > 1, settings.isOn(.prune), range != nil, !needsAll {
            // Racing: a quarter of the rollouts, then as many again as there are.
            let done = memory.partial(of: text).count
            place.numbers = done..<min(count, max(1, done == 0 ? (count + 3) / 4 : 2 * done))
        }
        return place
    }
}

extension ValueEstimate {
    var rewards: [Double] { rollouts.map(\.reward) }
}
