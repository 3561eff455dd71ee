/// What a policy must keep to; every breach names it.
extension CheckedPolicy {
    /// How far above 0 the log of a probability may come by rounding.
    private static let slack = 1e-3

    private func breach(_ reason: String) -> TransferQError {
        .policyBreach(policy: name, reason: "returned \(reason)")
    }

    func check(_ count: Int, _ expected: Int, _ what: String, _ whose: String) throws {
        guard count == expected else {
            throw breach("\(count) \(what) where \(expected) were asked for: it must return one for \(whose)")
        }
    }

    private func check(tokens: some Sequence<Token>) throws {
        guard let stranger = tokens.first(where: { $0 < 0 || $0 >= size }) else { return }
        throw breach("the token \(stranger), which is outside of its vocabulary of \(size) tokens")
    }

    /// What the policy is asked about comes from others, whose vocabulary may be another.
    func check(asked continuations: [Continuation]) throws {
        func isStrange(_ token: Token) -> Bool { token < 0 || token >= size }
        let strangers = continuations.lazy.compactMap {
            $0.prefix.first(where: isStrange) ?? $0.tokens.first(where: isStrange)
        }
        guard let stranger = strangers.first else { return }
        throw TransferQError.policyBreach(
            policy: name,
            reason: "was given the token \(stranger), which is outside of its vocabulary of \(size) tokens: the text "
                + "was cut into tokens by another vocabulary")
    }

    func check(_ logProbability: Double) throws {
        guard logProbability <= Self.slack else {  // not for NaN either
            throw breach(
                "\(logProbability) for a log-probability: it must be a number of at most 0; the model may be damaged")
        }
    }

    func check(_ numbers: [Double], count: Int, _ whose: String) throws {
        try check(numbers.count, count, "log-probabilities", whose)
        for number in numbers { try check(number) }
    }

    func check(_ list: [Candidate], count: Int, allowed: TokenSet?) throws {
        try check(list.count, min(count, allowed?.count ?? size), "candidates", "each place")
        try check(tokens: list.lazy.map(\.token))
        for candidate in list { try check(candidate.token, among: allowed) }
        var last = Double.infinity
        for candidate in list {
            try check(candidate.logProbability)
            guard candidate.logProbability <= last else {
                throw breach("candidates out of order: the most likely must come first")
            }
            last = candidate.logProbability
        }
        guard let first = list.first, first.logProbability > -.infinity else {
            throw breach("candidates that are all impossible: one of them must have a probability above 0")
        }
        guard LogSpace.logSumExp(list.map(\.logProbability)) <= Self.slack else {
            throw breach("candidates whose probabilities add up to more than 1: they must be normalised")
        }
        guard hasNoDouble(list) else { throw breach("a candidate twice: all tokens of a list must differ") }
    }

    private func hasNoDouble(_ list: [Candidate]) -> Bool {
        if list.count <= 64 { return Set(list.map(\.token)).count == list.count }
        var isSeen = [Bool](repeating: false, count: size)
        return list.allSatisfy { candidate in
            defer { isSeen[Int(candidate.token)] = true }
            return !isSeen[Int(candidate.token)]
        }
    }

    func check(_ rollout: Rollout, of start: RolloutRequest.Start, in request: RolloutRequest) throws {
        try check(tokens: rollout.tokens)
        try check(rollout.logProbabilities, count: rollout.tokens.count, "each token")
        guard rollout.logProbabilities.allSatisfy({ $0 > -.infinity }) else {
            throw breach("a rollout with a token that it holds to be impossible")
        }
        guard rollout.tokens.starts(with: start.beginning.tokens) else {
            throw breach("a rollout that does not begin with the tokens that it was given")
        }
        guard rollout.tokens.count <= start.maximumLength else {
            throw breach(
                "a rollout of \(rollout.tokens.count) tokens where at most \(start.maximumLength) were asked for")
        }
        let tokenizer = base.tokenizer
        guard !rollout.tokens.dropLast().contains(where: tokenizer.isEnd) else {
            throw breach("a rollout that goes on behind an end token")
        }
        let text = request.response + start.prefix + rollout.tokens
        try check(rollout, text[...], request.constraint)
        let isEnded =
            (rollout.tokens.last ?? start.prefix.last).map(tokenizer.isEnd) ?? false
            || request.constraint?.ends(text[...]) ?? false
        guard (rollout.finishReason == .stop) == isEnded else {
            throw breach(
                "a rollout with the finish reason \(rollout.finishReason.rawValue) "
                    + (isEnded ? "that ends with an end token" : "that ends with no end token"))
        }
        let room = min(start.maximumLength, maximumResponseLength - request.response.count - start.prefix.count)
        guard isEnded || rollout.tokens.count >= room else {
            throw breach(
                "an unfinished rollout of \(rollout.tokens.count) tokens where \(room) were asked for: it must go on to an "
                    + "end token or to that length")
        }
        try check(rollout.state)
        guard rollout.candidates.count <= rollout.tokens.count else {
            throw breach(
                "\(rollout.candidates.count) lists of candidates for the \(rollout.tokens.count) tokens of a rollout")
        }
        // Those of the beginning were checked when they came.
        for (place, list) in rollout.candidates.enumerated().dropFirst(start.beginning.candidates.count) {
            let response = text.dropLast(rollout.tokens.count - place)
            try check(
                list, count: request.candidateCount, allowed: request.constraint?.tokens(after: response[...]))
        }
    }

    /// - Parameter text: the response with the rollout's tokens at its end.
    private func check(_ rollout: Rollout, _ text: ArraySlice<Token>, _ constraint: (any Constraint)?) throws {
        guard let constraint else { return }
        for (place, token) in rollout.tokens.enumerated() {
            let before = text.dropLast(rollout.tokens.count - place)
            guard !constraint.ends(before) else { throw breach("a rollout that goes on where the response has ended") }
            try check(token, among: constraint.tokens(after: before))
        }
    }

    private func check(_ token: Token, among allowed: TokenSet?) throws {
        guard let allowed, !allowed.contains(token) else { return }
        throw breach("the token \(token), which the constraint does not allow")
    }

    func check(_ state: PooledState?) throws {
        guard let state else { return }
        guard state.last.count == state.mean.count else {
            throw breach("a hidden state of \(state.last.count) numbers with a mean of \(state.mean.count)")
        }
        guard state.last.allSatisfy(\.isFinite), state.mean.allSatisfy(\.isFinite) else {
            throw breach("a hidden state that holds numbers that are none; the model may be damaged")
        }
    }
}
