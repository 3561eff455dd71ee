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
        let values = outcome.estimates.map { $0?.value }
        let isGated = outcome.report.isGated
        // A gate leaves the choice to the tilted policy: all candidates count as equally good.
        let known = tokens.indices.filter { isGated || values[$0] != nil }
        let scores = TiltedDistribution.scores(
            logTilt: known.map { proposal.logTilt[$0] }, values: known.map { values[$0] ?? 0 }, alpha: guidance.alpha)
        let logs = LogSpace.logSoftmax(scores)
        var (shown, probabilities) = (proposal.logTilt, [Double](repeating: 0, count: tokens.count))
        for (index, (score, log)) in zip(known, zip(scores, logs)) {
            (shown[index], probabilities[index]) = (score, exp(log))
        }
        if known.isEmpty { probabilities[outcome.winner] = 1 }
        candidates = tokens.indices.map { index in
            guidance.scoredCandidate(
                [tokens[index]], outcome.estimates[index], logProbability: logReference[index], score: shown[index],
                probability: probabilities[index])
        }.sorted { $0.probability > $1.probability }

        let unknown = tokens.indices.filter { !known.contains($0) }
        if guidance.choice == .greedy {
            kl = -logReference[outcome.winner]
            klKind = .pointMass
        } else if unknown.isEmpty {
            kl = LogSpace.klDivergence(logs, from: known.map { logReference[$0] })
            klKind = .divergence
        } else if let range, range.upperBound.isFinite, guidance.search.approximations.isEmpty,
            unknown.count <= Self.mostUnknown
        {
            kl = Self.klBound(
                logTilt: proposal.logTilt, logReference: logReference,
                values: values.map { value in value.map { $0...$0 } ?? range }, unknown: unknown, alpha: guidance.alpha)
            klKind = .boundOverSkippedValues
        } else {
            kl = nil
            klKind = .divergence
        }
    }

    private static let mostUnknown = 14

    /// The largest KL(π_α ‖ π_sft) over all values that candidates may have.
    ///
    /// In the probability of any one candidate, the rest keeping its proportions, KL is convex; so the largest is at a
    /// corner, and all corners are looked at.
    private static func klBound(
        logTilt: [Double], logReference: [Double], values: [ClosedRange<Double>], unknown: [Int], alpha: Double
    ) -> Double {
        var largest = 0.0
        var corner = values.map(\.lowerBound)
        for number in 0..<(1 << unknown.count) {
            for (place, index) in unknown.enumerated() {
                corner[index] = number >> place & 1 == 1 ? values[index].upperBound : values[index].lowerBound
            }
            let scores = TiltedDistribution.scores(logTilt: logTilt, values: corner, alpha: alpha)
            largest = max(largest, LogSpace.klDivergence(LogSpace.logSoftmax(scores), from: logReference))
        }
        return largest
    }
}
