public import TransferQ

/// A finished answer with all of its steps.
public struct Answer: Sendable {
    public let task: DecodingTask
    public let steps: [DecodingStep]
    public let summary: GenerationSummary

    public init(_ task: DecodingTask, _ method: any DecodingMethod) async throws {
        var steps: [DecodingStep] = []
        for try await event in try Generation(task: task, method: method) {
            switch event {
            case .step(let step): steps.append(step)
            case .finished(let summary):
                self.init(task: task, steps: steps, summary: summary)
                return
            }
        }
        throw CancellationError()
    }

    private init(task: DecodingTask, steps: [DecodingStep], summary: GenerationSummary) {
        self.task = task
        self.steps = steps
        self.summary = summary
    }

    /// The chosen tokens, an end included.
    public var tokens: [Token] { steps.flatMap(\.decision.tokens) }

    /// Tokens rolled out and rewards asked for.
    public var work: Int { summary.usage.rolloutTokens + summary.usage.rewardCalls }

    /// By how much a step's choice was ahead of another of its candidates, as the choice compares them; infinite for a
    /// token that was no candidate or got no value.
    public func lead(at step: Int, over token: Token, isDrawn: Bool) -> Double {
        let decision = steps[step].decision
        let response = steps[..<step].flatMap(\.decision.tokens)
        let noise = DecodingState(task: task, response: response, step: step).noise(.choice)
        func score(_ token: Token) -> Double {
            guard let candidate = decision.candidates.first(where: { $0.tokens == [token] }) else { return -.infinity }
            return candidate.score + (isDrawn ? noise.derived(Int(token)).gumbel : 0)
        }
        return score(decision.tokens[0]) - score(token)
    }
}

extension InProcessPolicy {
    /// What a policy reads, by the pass that gives states or by the one that does not.
    package func read(
        _ continuations: [Continuation], after response: [Token], wantsStates: Bool
    ) async throws -> [Reading] {
        guard !wantsStates else { return try await read(continuations, after: response) }
        return try await score(continuations, after: response).map { Reading(logProbability: $0) }
    }
}
