import Foundation

/// What a search came to, as a decision shows it.
struct SearchResult {
    /// Most likely first; candidates without a value come last.
    let candidates: [ScoredCandidate]
    /// Nats; nil when too little is known of the candidates that were left out.
    let kl: Double?
    let klIsBound: Bool

    /// - Parameter logReference: log π_sft of the candidates.
    init(
        _ outcome: SearchOutcome, proposal: Proposal, logReference: [Double], guidance: Guidance,
        range: ClosedRange<Double>?
    ) {
        let tokens = proposal.tokens
        let values = outcome.estimates.map { $0?.value }
        let isGated = outcome.report.isGated
        // A gate leaves the choice to the tilted policy: all candidates count as equally good.
        let known = tokens.indices.filter { isGated || values[$0] != nil }
        let best = known.compactMap { values[$0] }.max() ?? 0
        func score(_ index: Int, _ value: Double) -> Double {
            proposal.logTilt[index] + (value - best) / guidance.alpha
        }
        let scores = known.map { score($0, values[$0] ?? best) }
        let logs = LogSpace.logSoftmax(scores)
        var probabilities = [Double](repeating: 0, count: tokens.count)
        for (index, log) in zip(known, logs) { probabilities[index] = exp(log) }
        if known.isEmpty { probabilities[outcome.winner] = 1 }
        candidates = tokens.indices.map { index in
            guidance.scoredCandidate(
                [tokens[index]], outcome.estimates[index], logProbability: logReference[index],
                score: score(index, values[index] ?? best), probability: probabilities[index])
        }.sorted { $0.probability > $1.probability }

        let unknown = tokens.indices.filter { !known.contains($0) }
        if guidance.choice == .greedy {
            kl = -logReference[outcome.winner]
            klIsBound = false
        } else if unknown.isEmpty {
            kl = LogSpace.klDivergence(logs, from: known.map { logReference[$0] })
            klIsBound = false
        } else if let range, guidance.search.approximations.isEmpty, unknown.count <= Self.mostUnknown {
            kl = Self.klBound(
                known: zip(known, scores).map { (score: $1, reference: logReference[$0]) },
                unknown: unknown.map { index in
                    (
                        low: score(index, range.lowerBound), high: score(index, range.upperBound),
                        reference: logReference[index]
                    )
                })
            klIsBound = true
        } else {
            kl = nil
            klIsBound = false
        }
    }

    private static let mostUnknown = 14

    /// The largest KL(π_α ‖ π_sft) over all values that candidates without one may have.
    ///
    /// In the probability of any one candidate, the rest keeping its proportions, KL is convex; so the largest is at a
    /// corner, and all corners are looked at.
    static func klBound(
        known: [(score: Double, reference: Double)], unknown: [(low: Double, high: Double, reference: Double)]
    ) -> Double {
        let references = known.map(\.reference) + unknown.map(\.reference)
        var largest = 0.0
        for corner in 0..<(1 << unknown.count) {
            let scores =
                known.map(\.score)
                + unknown.enumerated().map { place, bounds in corner >> place & 1 == 1 ? bounds.high : bounds.low }
            largest = max(largest, LogSpace.klDivergence(LogSpace.logSoftmax(scores), from: references))
        }
        return largest
    }
}
