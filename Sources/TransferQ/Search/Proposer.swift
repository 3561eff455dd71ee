/// Where the candidates of a search come from: the likeliest next tokens of the policy that is tilted.
struct Proposer: Sendable {
    /// The policy that is tilted.
    let policy: CheckedPolicy
    /// Another policy that reads every candidate, whose passes are announced along with the proposals; nil without one.
    let reader: CheckedPolicy?
    /// Candidates a state.
    let count: Int
    /// Divides log π_tilt, > 0.
    let temperature: Double
    /// Whether the choice is a draw, so that priorities carry Gumbel noise.
    let isDraw: Bool
    let memory: SearchMemory

    /// The candidates after the response.
    func proposal(for state: AnswerState) async throws -> Proposal {
        try await proposals(along: [], from: state)[0]
    }

    /// The candidates after the response and after every beginning of `path`, remembered for the steps that come there.
    ///
    /// Where the baseline is tilted, the reference reads the path in the same batch: its turn will come.
    func proposals(along path: [Token], from state: AnswerState) async throws -> [Proposal] {
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
        if let reader, !rest.isEmpty { try await reader.prepare(after: response, along: rest) }
        let lists = try await policy.propose(
            ProposalRequest(response: response, count: count, constraint: state.constraint), along: rest)
        for (offset, list) in lists.enumerated() {
            proposals.append(keep(list, at: state.ahead(beginning + rest.prefix(offset))))
        }
        return proposals
    }

    /// The proposal of an earlier look, or of a rollout that came through the state.
    private func remembered(at state: AnswerState) -> Proposal? {
        if let known = memory.proposal(after: state.response) { return known }
        return memory.candidates(after: state.response).map { keep($0, at: state) }
    }

    private func keep(_ list: [Candidate], at there: AnswerState) -> Proposal {
        let noise = there.noise(.choice)
        let logTilt = list.map { $0.logProbability / temperature }
        let proposal = Proposal(
            tokens: list.map(\.token), logPolicy: list.map(\.logProbability), logTilt: logTilt,
            priorities: zip(list, logTilt).map { candidate, log in
                log + (isDraw ? noise.derived(Int(candidate.token)).gumbel : 0)
            })
        memory.keep(proposal, after: there.response)
        return proposal
    }

    /// The tokens that the answer takes if no candidate wins that does not win at equal values, as far as they are known,
    /// without an end.
    func expectedPath(of proposal: Proposal, from state: AnswerState) -> [Token] {
        expectedPath(through: proposal.tokens[proposal.incumbent], from: state)
    }

    /// The same when `token` comes first.
    func expectedPath(through token: Token, from state: AnswerState) -> [Token] {
        let path = [token] + memory.beginning(of: state.response + [token]).tokens
        let open = path.prefix { !state.tokenizer.isEnd($0) }.prefix(state.remainingLength)
        guard state.constraint != nil else { return Array(open) }
        return open.indices.first { state.isEnded(by: Array(open[...$0])) }.map { Array(open[..<$0]) } ?? Array(open)
    }
}
