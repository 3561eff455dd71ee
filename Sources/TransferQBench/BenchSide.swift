import Foundation
import TransferQ
import TransferQEvaluation

/// What one way to decode came to, prompt by prompt.
struct BenchSide: Encodable {
    let name: String
    private(set) var pace = Pace()
    private(set) var rewards: [Double] = []
    private(set) var figures: [SearchFigures] = []
    /// Response tokens in the texts that the reward read, to a token of the answer.
    private(set) var scoredTokensPerToken: [Double] = []
    /// To another side; the command says which.
    var ratio: PaceRatio?
    /// Of the gain of another side's answers; the command says which.
    var keptGain: KeptGain?
    /// Answers with the same tokens as the first side's; nil where that is not asked.
    var equalAnswers: Int?

    init(_ name: String) { self.name = name }

    mutating func add(_ summary: GenerationSummary) {
        let tokens = Double(max(1, summary.usage.completionTokens))
        pace.add(seconds: summary.usage.seconds, tokens: max(1, summary.usage.completionTokens))
        rewards.append(summary.reward ?? .nan)
        scoredTokensPerToken.append(Double(summary.usage.scoredTokens) / tokens)
        if let figures = SearchFigures(summary) { self.figures.append(figures) }
    }

    static let searchHeads = ["candidates", "certified", "rollout tokens/token", "reused", "width"]

    /// Means over the prompts; dashes for a side that does not search.
    var searchCells: [String] {
        func cell(_ digits: Int, _ unit: String = "", _ figure: (SearchFigures) -> Double) -> String {
            guard !figures.isEmpty else { return "–" }
            return (figures.reduce(0) { $0 + figure($1) } / Double(figures.count)).fixed(digits) + unit
        }
        return [
            cell(2) { $0.evaluatedCandidates }, cell(0, " %") { 100 * $0.certifiedShare },
            cell(1) { $0.rolloutTokensPerToken }, cell(0, " %") { 100 * $0.reusedShare }, cell(1) { $0.batchWidth },
        ]
    }
}
