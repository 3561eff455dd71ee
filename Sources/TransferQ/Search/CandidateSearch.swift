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
/// candidates that can be it (docs/mathematics.md section 7).
///
/// A step asks again and again what could still change the choice, and has that evaluated in one batch, filled up with
/// what coming steps will probably ask for. Values do not depend on when they were asked for, so neither does the choice.
struct CandidateSearch {
    let proposer: Proposer
    let estimator: any ValueEstimator
    let rule: SkipRule
    /// In units of reward per nat.
    let alpha: Double
    let batching: SearchBatching
    let state: AnswerState
    /// Whether the answer's budget is used up, the usage of this search included.
    let isSpent: @Sendable (Usage) -> Bool
    /// Of the estimator; nil for values that are had whole only.
    let plan: RolloutPlan?
    /// Of the confidence rule; nil without one.
    private let scale: ValueScale?

    init(
        proposer: Proposer, estimator: any ValueEstimator, rule: SkipRule, alpha: Double, batching: SearchBatching,
        state: AnswerState, isSpent: @escaping @Sendable (Usage) -> Bool
    ) {
        self.proposer = proposer
        self.estimator = estimator
        self.rule = rule
        self.alpha = alpha
        self.batching = batching
        self.state = state
        self.isSpent = isSpent
        plan = estimator.rolloutPlan
        scale = rule.confidence?.scale(of: estimator, statedRange: rule.bounds.statedRange)
    }

    var memory: SearchMemory { proposer.memory }

    func outcome(for proposal: Proposal) async throws -> SearchOutcome {
        memory.advance(to: state.response)
        if let range { try TiltedDistribution.check(alpha: alpha, range: range) }
        var usage = Usage()
        var report = SearchReport(candidates: proposal.tokens.count)
        if rule.gate?.leaves(proposal) ?? false {
            report.isGated = true
            let estimates = [ValueEstimate?](repeating: nil, count: proposal.tokens.count)
            return SearchOutcome(estimates: estimates, winner: proposal.incumbent, report: report)
        }
        var lost: Set<Int> = []
        var audit: Audit?
        while true {
            let view = StepView(proposal, at: state, search: self, lost: lost)
            let verdict = judge(view)
            let isSpent = isSpent(usage)
            if verdict.open.isEmpty, !isSpent {
                audit = audit ?? Audit(of: verdict, view, by: rule.confidence)
                if let unknown = audit?.unknown(in: view), !unknown.isEmpty {
                    usage += try await evaluate(try await places(for: unknown, view))
                    continue
                }
            }
            if verdict.open.isEmpty || isSpent {
                audit?.report(view, to: &report)
                return conclude(view, verdict, report: &report, usage: usage)
            }
            if let race = rule.race, let plan {
                lost.formUnion(try await losers(of: race, among: verdict.open, view, plan, usage: &usage))
            }
            let wave = verdict.open.filter { !lost.contains($0) }
            usage += try await evaluate(try await places(for: wave, view))
            if let value = brokenValue(proposal) { report.outsideRange = value }
        }
    }

    /// What the rule makes of a state that the answer is at, or may come to.
    func judge(_ view: StepView) -> Verdict {
        rule.judge(view, scale: scale, memory: memory, isIncumbentAtHand: isKnownAhead(view.proposal.incumbent, view))
    }

    /// Whether a candidate's greedy rollout has but to be extended, so that its value costs next to nothing.
    func isKnownAhead(_ index: Int, _ view: StepView) -> Bool {
        guard let plan, plan.lookAhead.sampling.isGreedy, batching.reuses else { return false }
        return !memory.beginning(of: view.state.response + [view.proposal.tokens[index]]).tokens.isEmpty
    }

    private func conclude(
        _ view: StepView, _ verdict: Verdict, report: inout SearchReport, usage: Usage
    ) -> SearchOutcome {
        let incumbent = view.proposal.incumbent
        let known = view.proposal.tokens.indices.filter { view.isKnown($0) }
        report.evaluated = known.count
        report.isCertified = !known.contains { $0 != incumbent }
        report.expectedError = verdict.risk
        memory.take(risk: verdict.risk)
        let winner = verdict.winner
        // Nothing can be learned from how far impossible candidates are from others.
        if let first = view.value(of: incumbent), first.isFinite {
            let others = known.filter { $0 != incumbent }.compactMap { view.value(of: $0) }.filter { $0 != -.infinity }
            memory.learn(
                surprises: scale.map { scale in others.map { scale.surprise(of: $0, beside: first) } } ?? [],
                contested: !report.isCertified, lost: winner != incumbent)
        }
        memory.keep(lastValue: view.value(of: winner).flatMap { $0.isFinite ? $0 : nil })
        let estimates = view.proposal.tokens.map { memory.estimate(of: state.response + [$0]) }
        return SearchOutcome(estimates: estimates, winner: winner, report: report, usage: usage)
    }

    /// A value outside the range that the user stated; from then on the step is one without a range.
    private func brokenValue(_ proposal: Proposal) -> Double? {
        guard let range = rule.bounds.statedRange, estimator.valueRange == nil, memory.brokenStep != state.step else {
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
        guard estimator.isMeanOfRewards else { return nil }
        return memory.brokenStep == state.step ? nil : rule.bounds.statedRange
    }

    // MARK: Evaluation

    /// Has places evaluated and remembers what they come to.
    private func evaluate(_ places: [ValuePlace]) async throws -> Usage {
        let values = try await estimator.checkedEstimates(for: places, in: state)
        guard let plan else {
            for (place, estimate) in zip(places, values.estimates) { keep(estimate, of: place) }
            return values.usage
        }
        for (place, estimate) in zip(places, values.estimates) {
            let text = state.response + place.prefix
            keepRollout(of: estimate, text, plan)
            let all = memory.partial(of: text) + estimate.rollouts
            // A candidate that ends the response has one rollout, whatever N is.
            if place.numbers.upperBound >= plan.lookAhead.rollouts || estimate.rollouts.count < place.numbers.count {
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

    /// A greedy rollout serves others that come along the same way.
    private func keepRollout(of estimate: ValueEstimate, _ text: [Token], _ plan: RolloutPlan) {
        guard plan.lookAhead.sampling.isGreedy, let rollout = estimate.rollouts.first?.rollout else { return }
        memory.keep(rollout, of: text)
    }

    /// The candidates that drop out of a race.
    private func losers(
        of race: RaceRule, among open: [Int], _ view: StepView, _ plan: RolloutPlan, usage: inout Usage
    ) async throws -> Set<Int> {
        var left = open
        for horizon in race.horizons(of: plan.lookAhead.horizon) where left.count > RaceRule.fewest {
            let places = left.map { index in
                var place = self.place(view.proposal.tokens[index], path: [], plan)
                place.horizon = horizon
                return place
            }
            let values = try await estimator.checkedEstimates(for: places, in: state)
            usage += values.usage
            for (place, estimate) in zip(places, values.estimates) {
                keepRollout(of: estimate, state.response + place.prefix, plan)
            }
            let scores = TiltedDistribution(
                logTilt: left.map { view.proposal.priorities[$0] },
                values: values.estimates.map { .known($0.value) }, alpha: alpha, origin: 0
            ).scores
            let best = left.indices.sorted { scores[$0] > scores[$1] }.prefix(race.survivors(of: left.count))
            left = best.map { left[$0] }
        }
        return Set(open).subtracting(left)
    }

    /// What to ask for to value a candidate.
    func place(_ token: Token, path: [Token], _ plan: RolloutPlan) -> ValuePlace {
        let count = plan.lookAhead.rollouts
        var place = ValuePlace(path: path, candidate: [token], numbers: 0..<count)
        let text = state.response + place.prefix
        if plan.lookAhead.sampling.isGreedy {
            if batching.reuses { place.beginning = memory.beginning(of: text) }
            // Where the tilted policy rolls out, it comes through the states of coming steps.
            if batching.notesCandidates, plan.policy === proposer.policy { place.candidateCount = proposer.count }
        } else if estimator.isMeanOfRewards, count > 1, rule.bounds.prunes, range != nil {
            place.numbers = rule.bounds.numbers(of: count, done: memory.partial(of: text).count)
        }
        return place
    }
}

extension ValueEstimate {
    var rewards: [Double] { rollouts.map(\.reward) }
}
