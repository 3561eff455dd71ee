import Foundation

/// The candidates of one state, before anything is known of their values.
struct Proposal: Sendable {
    let tokens: [Token]
    /// log π_tilt of each, nats.
    let logTilt: [Double]
    /// log π_tilt, with Gumbel noise when the choice is a draw: what is compared when values are equal.
    let priorities: [Double]

    /// The candidate that wins when all values are equal; the first of equal ones.
    var anchor: Int { priorities.firstIndexOfMaximum }
}

extension Guidance {
    /// The candidates after the response.
    func proposal(for state: DecodingState) async throws -> Proposal {
        try await proposals(along: [], from: state)[0]
    }

    /// log π_sft of a proposal's candidates, nats. The choice does not need them, so they may come beside it.
    func logReference(of proposal: Proposal, at state: DecodingState) async throws -> [Double] {
        if tilt == .reference { return proposal.logTilt }
        return try await state.task.reference.logProbabilities(of: proposal.tokens, after: state.response)
    }

    /// The candidates after the response and after every beginning of `path`, remembered for the steps that come there.
    ///
    /// Where the baseline is tilted, the reference reads the path in the same batch: its turn will come.
    func proposals(along path: [Token], from state: DecodingState) async throws -> [Proposal] {
        let known = (0...path.count).prefix { state.memory.proposal(after: state.response + path.prefix($0)) != nil }
        var proposals = known.compactMap { state.memory.proposal(after: state.response + path.prefix($0)) }
        guard proposals.count <= path.count else { return proposals }
        let beginning = Array(path.prefix(proposals.count))
        let rest = Array(path.dropFirst(proposals.count))
        let response = state.response + beginning
        let lists: [[Candidate]]
        if tilt == .reference || rest.isEmpty {
            let tilted = tilt == .reference ? state.task.reference : state.task.baseline
            lists = try await tilted.candidates(after: response, along: rest, count: k)
        } else {
            async let read: Void = state.task.reference.prepare(after: response, along: rest)
            lists = try await state.task.baseline.candidates(after: response, along: rest, count: k)
            try await read
        }
        for (offset, list) in lists.enumerated() {
            let there = state.ahead(beginning + rest.prefix(offset))
            guard !list.isEmpty, list.allSatisfy({ !$0.logProbability.isNaN }) else {
                throw TransferQError.policyNotNumeric(step: there.step)
            }
            let noise = there.noise(.choice)
            let proposal = Proposal(
                tokens: list.map(\.token), logTilt: list.map(\.logProbability),
                priorities: list.map { candidate in
                    candidate.logProbability
                        + (choice == .sample ? noise.derived(Int(candidate.token)).gumbel : 0)
                })
            state.memory.keep(proposal, after: there.response)
            proposals.append(proposal)
        }
        return proposals
    }
}

extension [Double] {
    /// The first place of the largest value.
    var firstIndexOfMaximum: Int {
        var best = 0
        for index in indices where self[index] > self[best] { best = index }
        return best
    }
}
