import Foundation

/// The part that all methods with values share: tilt a policy by Q and pick a token, or a block of them.
public struct Guidance: Sendable {
    /// The policy that is tilted, and that proposes the candidates.
    public enum Tilt: String, CaseIterable, Sendable {
        case reference, baseline
    }

    public enum Choice: String, CaseIterable, Sendable {
        case sample, greedy
    }

    /// Candidates a step.
    let k: Int
    /// In units of reward per nat. When none was given, that of the task at hand: see ``resolved(for:)``.
    private(set) var alpha: Double
    private let isAlphaGiven: Bool
    let tilt: Tilt
    let choice: Choice
    /// Divides log π_tilt: below 1 its likely tokens get likelier before Q tilts it; > 0.
    let temperature: Double
    /// Most nats that the whole answer may spend.
    let klBudget: Double?
    /// Tokens of a candidate; 1 for the k most likely tokens, above for k sampled blocks.
    let blockLength: Int
    let search: SearchSettings

    /// The guidance with the α of a task: what was given, or one ``RewardModel/unit`` of its reward.
    private func resolved(for task: DecodingTask) -> Guidance {
        guard !isAlphaGiven, let unit = task.reward?.unit else { return self }
        var guidance = self
        guidance.alpha = unit
        return guidance
    }

    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)``.
    public init(k: Int, alpha: Double, tilt: Tilt = .reference, choice: Choice = .sample) throws {
        var reader = ParameterReader(values: [
            "k": .integer(k), "alpha": .number(alpha), "tilt": .text(tilt.rawValue), "choice": .text(choice.rawValue),
        ])
        try self.init(from: &reader)
    }

    /// - Parameters:
    ///   - hasTilt: whether the method may tilt the baseline.
    ///   - hasBlocks: whether the method may choose among blocks.
    init(from parameters: inout ParameterReader, hasTilt: Bool = true, hasBlocks: Bool = true) throws {
        k = try parameters.integer(
            "k", default: 10, in: 1...LookAhead.mostRollouts, "candidates a step: the k most likely tokens")
        let given = try parameters.optionalNumber(
            "alpha", default: Self.defaultAlpha, "a finite number above 0",
            "pull to the tilted policy, in reward per nat; smaller follows the reward more"
        ) { $0 > 0 }
        isAlphaGiven = given != nil
        alpha = given ?? 1
        tilt =
            hasTilt
            ? try parameters.choice(
                "tilt", default: .reference, "the policy that is tilted and proposes candidates")
            : .reference
        let heat = try parameters.number(
            "temperature", default: 1, "0 or a finite number of at least 0.001",
            "of the tilted policy when tokens are drawn: below 1 its likely tokens get likelier; 0 is choice greedy"
        ) { $0 == 0 || $0 >= 1e-3 }
        temperature = heat > 0 ? heat : 1
        let draws = parameters.isGiven("kl-budget") || parameters.isGiven("temperature")
        choice = try parameters.choice(
            "choice", default: draws && heat > 0 ? .sample : .greedy,
            "take the tilted distribution's most likely token (greedy), or draw from it (sample; the default with "
                + "temperature and kl-budget)")
        klBudget = try parameters.optionalNumber(
            "kl-budget", "a finite number of nats of at least 0",
            "most KL of the whole answer; raises alpha step by step, or draws from the reference where no alpha would do"
        ) { $0 >= 0 }
        blockLength =
            hasBlocks
            ? try parameters.integer(
                "blockwise", default: 1, in: 1...1_000_000, "tokens of a candidate; above 1, k sampled blocks")
            : 1
        search = try SearchSettings(from: &parameters)
        guard klBudget == nil || (choice == .sample && blockLength == 1) else {
            throw TransferQError.invalidParameter(
                name: "kl-budget", value: "\(klBudget ?? 0)",
                requirement: "left out with --choice greedy and --blockwise, whose KL no alpha controls")
        }
    }

    /// How help names α's default.
    static let defaultAlpha = "1 spread of the reward"

    func validate(vocabularySize: Int) throws {
        // Blocks are drawn, and may be drawn twice.
        guard blockLength > 1 || k <= vocabularySize else {
            throw TransferQError.invalidParameter(
                name: "k", value: "\(k)", requirement: "at most the vocabulary's \(vocabularySize) tokens")
        }
    }

    /// What one step takes at most.
    func demand(_ lookAhead: LookAhead, maximumLength: Int) -> RolloutDemand {
        var demand = lookAhead.demand(candidates: k, length: blockLength, maximumLength: maximumLength)
        if blockLength == 1, lookAhead.sampling.isGreedy, search.isOn(.lookAhead) {
            demand.isFilledUp = search.width == nil
            demand.sequences = max(demand.sequences, search.width ?? DecodingTask.mostWidth)
        }
        return demand
    }

    /// One step of π_α with values from `estimator`.
    func decide(_ state: DecodingState, estimator: any ValueEstimator) async throws -> Decision {
        try await resolved(for: state.task).decideStep(state, estimator: estimator)
    }

    private func decideStep(_ state: DecodingState, estimator: any ValueEstimator) async throws -> Decision {
        if blockLength > 1 { return try await decideBlock(state, estimator: estimator) }
        let proposer = proposer(for: state)
        let proposal = try await proposer.proposal(for: state.answer)
        let outside = max(0, 1 - exp(LogSpace.logSumExp(proposal.logPolicy)))
        if let klBudget {
            let allowance = max(0, klBudget - state.spentKL) / Double(state.remainingLength)
            return try await decide(state, proposal, estimator: estimator, allowance: allowance, outside: outside)
        }
        // Its log-probabilities come with the search's batches, those of coming steps as well.
        if tilt == .baseline {
            let path = proposer.expectedPath(of: proposal, from: state.answer)
            try await state.task.policies.reference.prepare(
                after: state.response, along: Array(path.prefix(Self.referenceStride)))
        }
        let outcome = try await search(state, proposer: proposer, estimator: estimator).outcome(for: proposal)
        let result = SearchResult(
            outcome, proposal: proposal, logReference: try await logReference(of: proposal, at: state),
            guidance: self, range: estimator.valueRange)
        return Decision(
            tokens: [proposal.tokens[outcome.winner]], candidates: result.candidates, kl: result.kl,
            klKind: result.klKind, alpha: alpha, outsideProbability: outside, search: outcome.report,
            usage: outcome.usage)
    }

    /// Tokens of the expected path that the reference reads at a time: few enough to be lost when another candidate wins.
    private static let referenceStride = 7

    /// The policy that is tilted.
    private func tiltedPolicy(of task: DecodingTask) -> CheckedPolicy {
        tilt == .reference ? task.policies.reference : task.policies.baseline
    }

    private func proposer(for state: DecodingState) -> Proposer {
        Proposer(
            policy: tiltedPolicy(of: state.task), reader: tilt == .baseline ? state.task.policies.reference : nil,
            count: k,
            temperature: temperature, isDraw: choice == .sample, memory: state.memory)
    }

    private func search(
        _ state: DecodingState, proposer: Proposer, estimator: any ValueEstimator, needsAll: Bool = false
    ) -> CandidateSearch {
        let rule = search.rule(state.task.confidenceCalibration)
        var batching = search.batching(width: state.task.batchWidth)
        if needsAll { batching.looksAhead = false }
        return CandidateSearch(
            proposer: proposer, estimator: estimator, rule: needsAll ? rule.evaluatingAll : rule, alpha: alpha,
            batching: batching, state: state.answer, isSpent: { state.isSpent(adding: $0) })
    }

    /// log π_sft of a proposal's candidates, nats. The choice does not need them.
    private func logReference(of proposal: Proposal, at state: DecodingState) async throws -> [Double] {
        if tilt == .reference { return proposal.logPolicy }
        return try await state.task.reference.logProbabilities(of: proposal.tokens, after: state.response)
    }

    /// One step under a KL budget: every value counts, and α rises until the step's KL is within `allowance`.
    private func decide(
        _ state: DecodingState, _ proposal: Proposal, estimator: any ValueEstimator, allowance: Double, outside: Double
    ) async throws -> Decision {
        let tokens = proposal.tokens
        let logReference = try await logReference(of: proposal, at: state)
        // No distribution on the candidates is nearer to the reference than what they leave out.
        if -LogSpace.logSumExp(logReference) > allowance {
            return try await drawFromReference(state, candidates: tokens, logReference: logReference)
        }
        let outcome = try await search(state, proposer: proposer(for: state), estimator: estimator, needsAll: true)
            .outcome(for: proposal)
        let estimates = outcome.estimates.compactMap { $0 }
        func tiltedDistribution(at alpha: Double) throws -> TiltedDistribution {
            try TiltedDistribution(logTilt: proposal.logTilt, values: estimates.map(\.value), alpha: alpha)
        }
        let alpha: Double? =
            estimates.count < tokens.count  // the answer's budget is spent
            ? nil
            : try leastAlpha(allowance: allowance) { try tiltedDistribution(at: $0).klDivergence(from: logReference) }
        guard let alpha, alpha.isFinite else {
            var decision = try await drawFromReference(state, candidates: tokens, logReference: logReference)
            decision.usage = outcome.usage
            return decision
        }
        let distribution = try tiltedDistribution(at: alpha)
        let chosen = distribution.choose(tokens: tokens, noise: state.noise(.choice))
        let (scores, probabilities) = (distribution.scores, distribution.probabilities)
        let scored = tokens.indices.map { index in
            scoredCandidate(
                [tokens[index]], estimates[index], logProbability: logReference[index],
                score: scores[index], probability: probabilities[index])
        }
        return Decision(
            tokens: [tokens[chosen]], candidates: scored.sorted { $0.probability > $1.probability },
            kl: distribution.klDivergence(from: logReference), alpha: alpha, outsideProbability: outside,
            search: outcome.report, usage: outcome.usage)
    }

    /// An α of at least `self.alpha` whose KL is within `allowance`; infinite when none was found.
    ///
    /// On the reference's tilt KL falls as α grows, so it is the least such α; on the baseline's KL need not fall, and
    /// what is found is within the allowance all the same.
    private func leastAlpha(allowance: Double, kl: (Double) throws -> Double) throws -> Double {
        guard try kl(alpha) > allowance else { return alpha }
        var low = log(alpha)
        var high = min(max(low, 0) + 40, 700)
        guard try kl(exp(high)) <= allowance else { return .infinity }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if try kl(exp(middle)) <= allowance { high = middle } else { low = middle }
        }
        return exp(high)
    }

    /// A step on which the budget allows nothing: a token of the reference's own, at no KL. α counts as infinite.
    private func drawFromReference(
        _ state: DecodingState, candidates tokens: [Token], logReference: [Double]
    ) async throws -> Decision {
        let draw = try await state.answer.drawFromReference()
        var shown = zip(tokens, logReference).map { Candidate(token: $0, logProbability: $1) }
        if !tokens.contains(draw.token) { shown.append(draw) }
        let scored = shown.map { candidate in
            ScoredCandidate(
                tokens: [candidate.token], logProbability: candidate.logProbability, value: nil,
                score: candidate.logProbability, probability: exp(candidate.logProbability), rollouts: [])
        }
        return Decision(tokens: [draw.token], candidates: scored, kl: 0, alpha: .infinity, usage: Usage())
    }

    /// Chooses among k blocks sampled from the tilted policy, with probabilities proportional to exp(Q/α): the policy's
    /// own part is in the sampling. Picking one of k draws by whatever rule costs at most log k nats.
    private func decideBlock(_ state: DecodingState, estimator: any ValueEstimator) async throws -> Decision {
        let policy = tiltedPolicy(of: state.task)
        var request = RolloutRequest(
            response: state.response, prefixes: [[]], count: k, maximumLength: min(blockLength, state.remainingLength),
            sampling: .ancestral, noise: state.noise(.block))
        request.constraint = state.answer.constraint
        let blocks = try await policy.rollOut(request)[0]
        var values = try await estimator.checkedEstimates(for: blocks.map(\.tokens), in: state.answer)
        let distribution = try TiltedDistribution(
            logTilt: blocks.map { _ in -log(Double(k)) }, values: values.estimates.map(\.value), alpha: alpha)
        let places = blocks.indices.map { Token($0) }
        let chosen =
            choice == .sample
            ? distribution.choose(tokens: places, noise: state.noise(.choice)) : distribution.mostLikely
        values.usage.rolloutTokens += blocks.reduce(0) { $0 + $1.tokens.count } - blocks[chosen].tokens.count
        let (scores, probabilities) = (distribution.scores, distribution.probabilities)
        var scored = blocks.indices.map { index in
            scoredCandidate(
                blocks[index].tokens, values.estimates[index], logProbability: blocks[index].logProbability,
                score: scores[index], probability: probabilities[index])
        }
        scored.sort { $0.probability > $1.probability }
        return Decision(
            tokens: blocks[chosen].tokens, candidates: scored, kl: tilt == .reference ? log(Double(k)) : nil,
            klKind: .boundOfMethod, alpha: alpha, usage: values.usage)
    }

    func scoredCandidate(
        _ tokens: [Token], _ estimate: ValueEstimate?, logProbability: Double, score: Double, probability: Double
    ) -> ScoredCandidate {
        ScoredCandidate(
            tokens: tokens, logProbability: logProbability,
            value: estimate.flatMap { $0.isImpossible ? nil : $0.value }, score: score,
            probability: probability, rollouts: estimate?.rollouts ?? [],
            effectiveSampleSize: estimate?.effectiveSampleSize)
    }
}
