import Foundation

/// What a search came to, as a decision shows it.
struct SearchResult {
    /// Most likely first; candidates without a value come last.
    let candidates: [ScoredCandidate]
    /// Nats; nil when too little is known of the candidates that were left out.
    let kl: Double?
    let klKind: KLKind

    /// - Parameter logReference: log π_sft of the candidates.
    init(
        _ outcome: SearchOutcome, proposal: Proposal, logReference: [Double], guidance: Guidance,
        range: ClosedRange<Double>?
    ) {
        let tokens = proposal.tokens
        // A gate leaves the choice to the tilted policy: all candidates count as equally good.
        let values = outcome.estimates.map { estimate -> CandidateValue in
            if outcome.report.isGated { return .known(0) }
            return estimate.map { .known($0.value) } ?? .unknown
        }
        let tilted = TiltedDistribution(logTilt: proposal.logTilt, values: values, alpha: guidance.alpha)
        let scores = tilted.scores
        let unknown = tokens.indices.filter { values[$0].value == nil }
        var probabilities = tilted.probabilities
        if unknown.count == tokens.count { probabilities[outcome.winner] = 1 }
        candidates = tokens.indices.map { index in
            guidance.scoredCandidate(
                [tokens[index]], outcome.estimates[index], logProbability: logReference[index], score: scores[index],
                probability: probabilities[index])
        }.sorted { $0.probability > $1.probability }

        if guidance.choice == .greedy {
            kl = -logReference[outcome.winner]
            klKind = .pointMass
        } else if unknown.isEmpty {
            kl = tilted.klDivergence(from: logReference)
            klKind = .divergence
        } else if let range, range.upperBound.isFinite, guidance.search.approximations.isEmpty,
            unknown.count <= Self.mostUnknown
        {
            kl = TiltedDistribution(
                logTilt: proposal.logTilt,
                values: values.map { value in
                    value.value == nil ? .bounded(low: range.lowerBound, high: range.upperBound) : value
                }, alpha: guidance.alpha
            ).largestKLDivergence(from: logReference)
            klKind = .boundOverSkippedValues
        } else {
            kl = nil
            klKind = .divergence
        }
    }

    private static let mostUnknown = 14
}
