import Foundation

/// The candidates of one state, before anything is known of their values.
struct Proposal: Sendable {
    let tokens: [Token]
    /// log-probability of each under the policy that proposed them, nats.
    let logPolicy: [Double]
    /// log π_tilt of each up to a constant: `logPolicy` divided by the temperature.
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

    /// log π_sft of a proposal's candidates, nats. The choice does not need them.
    func logReference(of proposal: Proposal, at state: DecodingState) async throws -> [Double] {
        if tilt == .reference { return proposal.logPolicy }
        return try await state.task.reference.logProbabilities(of: proposal.tokens, after: state.response)
    }

    /// The candidates after the response and after every beginning of `path`, remembered for the steps that come there.
    ///
    /// Where the baseline is tilted, the reference reads the path in the same batch: its turn will come.
    func proposals(along path: [Token], from state: DecodingState) async throws -> [Proposal] {
        var proposals: [Proposal] = []
        while proposals.count <= path.count {
            let there = state.ahead(Array(path.prefix(proposals.count)))
            guard let proposal = remembered(at: there) else { break }
            proposals.append(proposal)
        }
        guard proposals.count <= path.count else { return proposals }
        let beginning = Array(path.prefix(proposals.count))
        let rest = Array(path.dropFirst(proposals.count))
        let response = state.response + beginning
        if tilt == .baseline, !rest.isEmpty {
            try await state.task.reference.prepare(after: response, along: rest)
        }
        let lists = try await tilted(state.task).candidates(after: response, along: rest, count: k)
        for (offset, list) in lists.enumerated() {
            proposals.append(keep(list, at: state.ahead(beginning + rest.prefix(offset))))
        }
        return proposals
    }

    /// The policy that is tilted.
    func tilted(_ task: DecodingTask) -> any Policy { tilt == .reference ? task.reference : task.baseline }

    /// The proposal of an earlier look, or of a rollout that came through the state.
    private func remembered(at state: DecodingState) -> Proposal? {
        if let known = state.memory.proposal(after: state.response) { return known }
        return state.memory.candidates(after: state.response).map { keep($0, at: state) }
    }

    private func keep(_ list: [Candidate], at there: DecodingState) -> Proposal {
        let noise = there.noise(.choice)
        let logTilt = list.map { $0.logProbability / temperature }
        let proposal = Proposal(
            tokens: list.map(\.token), logPolicy: list.map(\.logProbability), logTilt: logTilt,
            priorities: zip(list, logTilt).map { candidate, log in
                log + (choice == .sample ? noise.derived(Int(candidate.token)).gumbel : 0)
            })
        there.memory.keep(proposal, after: there.response)
        return proposal
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
