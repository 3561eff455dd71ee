/// The part that all token-by-token methods with values share: tilt a policy by Q and pick a token.
struct Guidance: Sendable {
    /// The policy that is tilted, and that proposes the candidates.
    enum Tilt: String, CaseIterable, Sendable {
        case reference, baseline
    }

    enum Choice: String, CaseIterable, Sendable {
        case sample, greedy
    }

    let k: Int
    let alpha: Double
    let tilt: Tilt
    let choice: Choice

    init(from parameters: inout ParameterReader) throws {
        k = try parameters.integer("k", default: 10, in: 1..., "candidates a step: the k most likely tokens")
        alpha = try parameters.number(
            "alpha", default: 1, "a finite number above 0",
            "pull to the tilted policy, in reward per nat; smaller follows the reward more"
        ) { $0 > 0 }
        tilt = try parameters.choice("tilt", default: .reference, "the policy that is tilted and proposes candidates")
        choice = try parameters.choice(
            "choice", default: .sample, "draw from the tilted distribution, or take its most likely token")
    }

    func validate(vocabularySize: Int) throws {
        guard k <= vocabularySize else {
            throw TransferQError.invalidParameter(
                name: "k", value: "\(k)", requirement: "at most the vocabulary's \(vocabularySize) tokens")
        }
    }

    /// One step of π_α with values from `estimator`.
    func decide(_ state: DecodingState, estimator: any ValueEstimator) async throws -> Decision {
        let reference = state.task.reference
        let candidates: [Candidate]
        let logReference: [Double]
        switch tilt {
        case .reference:
            candidates = try await reference.candidates(after: state.response, count: k)
            logReference = candidates.map(\.logProbability)
        case .baseline:
            candidates = try await state.task.baseline.candidates(after: state.response, count: k)
            logReference = try await reference.logProbabilities(of: candidates.map(\.token), after: state.response)
        }
        guard !candidates.isEmpty, candidates.allSatisfy({ !$0.logProbability.isNaN }) else {
            throw TransferQError.policyNotNumeric(step: state.step)
        }
        let values = try await CandidateSearch(estimator: estimator).values(for: candidates, in: state)
        let tilted = try TiltedDistribution(
            logTilt: candidates.map(\.logProbability), values: values.estimates.map(\.value), alpha: alpha)

        let chosen: Int
        let kl: Double
        switch choice {
        case .sample:
            chosen = tilted.choose(tokens: candidates.map(\.token), noise: state.noise(.choice))
            kl = tilted.klDivergence(from: logReference)
        case .greedy:
            chosen = tilted.mostLikely
            kl = -logReference[chosen]
        }
        let probabilities = tilted.probabilities
        let scored = candidates.indices.map { index in
            ScoredCandidate(
                token: candidates[index].token, logProbability: logReference[index],
                value: values.estimates[index].value, score: tilted.scores[index],
                probability: probabilities[index], rollouts: values.estimates[index].rollouts)
        }
        return Decision(
            tokens: [candidates[chosen].token], candidates: scored.sorted { $0.probability > $1.probability },
            kl: kl, usage: values.usage)
    }
}
