import Foundation

/// The candidates of one state, before anything is known of their values.
struct Proposal: Sendable {
    let tokens: [Token]
    /// log π_tilt and log π_sft of each, nats.
    let logTilt: [Double]
    let logReference: [Double]
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

    /// The candidates after the response and after every beginning of `path`, remembered for the steps that come there.
    func proposals(along path: [Token], from state: DecodingState) async throws -> [Proposal] {
        let known = (0...path.count).prefix { state.memory.proposal(after: state.response + path.prefix($0)) != nil }
        var proposals = known.compactMap { state.memory.proposal(after: state.response + path.prefix($0)) }
        guard proposals.count <= path.count else { return proposals }
        let beginning = Array(path.prefix(proposals.count))
        let rest = Array(path.dropFirst(proposals.count))
        let response = state.response + beginning
        let tilted = tilt == .reference ? state.task.reference : state.task.baseline
        let lists = try await tilted.candidates(after: response, along: rest, count: k)
        let logReference =
            tilt == .reference
            ? lists.map { $0.map(\.logProbability) }
            : try await state.task.reference.logProbabilities(
                of: lists.map { $0.map(\.token) }, after: response, along: rest)
        for (offset, (list, logReference)) in zip(lists, logReference).enumerated() {
            let there = state.ahead(beginning + rest.prefix(offset))
            guard !list.isEmpty, list.allSatisfy({ !$0.logProbability.isNaN }) else {
                throw TransferQError.policyNotNumeric(step: there.step)
            }
            let noise = there.noise(.choice)
            let proposal = Proposal(
                tokens: list.map(\.token), logTilt: list.map(\.logProbability), logReference: logReference,
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
