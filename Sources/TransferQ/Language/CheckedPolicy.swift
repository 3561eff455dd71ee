/// A policy whose every result is checked before the method sees it.
///
/// The decoder trusts no policy. A list that is too short, a rollout without tokens, a token outside of the vocabulary or a
/// log-probability that is no number ends in ``TransferQError/policyBreach(policy:reason:)``, which names the policy, and
/// never in a trap, a hang or a wrong answer. ``DecodingTask`` puts it around the policies that it is given, and
/// ``ImplicitReward`` around those that it reads with; nothing behind them needs to check again.
final class CheckedPolicy: Policy {
    let base: any Policy
    /// For messages: its role and its type, e.g. `the baseline (LlamaPolicy)`.
    private let name: String
    /// Tokens of the vocabulary.
    private let size: Int

    private init(_ base: any Policy, role: String) {
        self.base = base
        name = "\(role) (\(type(of: base)))"
        size = base.vocabulary.size
    }

    /// - Parameter role: what the policy is called in messages, e.g. `the baseline`.
    /// - Returns: `policy` itself when it is checked already.
    static func checking(_ policy: any Policy, role: String) -> any Policy {
        policy is CheckedPolicy ? policy : CheckedPolicy(policy, role: role)
    }

    /// The policy behind a checked one; tells whether two are one.
    static func base(of policy: any Policy) -> any Policy { (policy as? CheckedPolicy)?.base ?? policy }

    var vocabulary: any Vocabulary { base.vocabulary }
    var maximumResponseLength: Int { base.maximumResponseLength }
    var promptLength: Int { base.promptLength }
    var stateSource: StateSource? { base.stateSource }

    func candidates(after response: [Token], count: Int) async throws -> [Candidate] {
        let list = try await base.candidates(after: response, count: count)
        try check(list, count: count)
        return list
    }

    func candidates(after response: [Token], along path: [Token], count: Int) async throws -> [[Candidate]] {
        let lists = try await base.candidates(after: response, along: path, count: count)
        try check(lists.count, path.count + 1, "lists of candidates", "the response and each token of the path")
        for list in lists { try check(list, count: count) }
        return lists
    }

    func logProbabilities(of tokens: [Token], after response: [Token]) async throws -> [Double] {
        try check(asked: tokens)
        let numbers = try await base.logProbabilities(of: tokens, after: response)
        try check(numbers, of: tokens)
        return numbers
    }

    func logProbabilities(
        of tokens: [[Token]], after response: [Token], along path: [Token]
    ) async throws -> [[Double]] {
        for list in tokens { try check(asked: list) }
        let lists = try await base.logProbabilities(of: tokens, after: response, along: path)
        try check(lists.count, tokens.count, "lists of log-probabilities", "each list of tokens")
        for (list, tokens) in zip(lists, tokens) { try check(list, of: tokens) }
        return lists
    }

    func prepare(after response: [Token], along path: [Token]) async throws {
        try await base.prepare(after: response, along: path)
    }

    func rollouts(_ request: RolloutRequest) async throws -> [[Rollout]] {
        let lists = try await base.rollouts(request)
        try check(lists.count, request.starts.count, "lists of rollouts", "each start")
        for (rollouts, start) in zip(lists, request.starts) {
            try check(rollouts.count, start.numbers.count, "rollouts of a start", "each number that was asked for")
            for rollout in rollouts { try check(rollout, of: start, in: request) }
        }
        return lists
    }

    func read(
        _ continuations: [Continuation], after response: [Token], wantsStates: Bool
    ) async throws -> [Reading] {
        for continuation in continuations { try check(asked: continuation.prefix + continuation.tokens) }
        let readings = try await base.read(continuations, after: response, wantsStates: wantsStates)
        try check(readings.count, continuations.count, "readings", "each continuation")
        for reading in readings {
            try check(reading.logProbability)
            try check(reading.state)
        }
        return readings
    }

    // MARK: Checks

    /// How far above 0 the log of a probability may come by rounding.
    private static let slack = 1e-3

    private func breach(_ reason: String) -> TransferQError {
        .policyBreach(policy: name, reason: "returned \(reason)")
    }

    private func check(_ count: Int, _ expected: Int, _ what: String, _ whose: String) throws {
        guard count == expected else {
            throw breach("\(count) \(what) where \(expected) were asked for: it must return one for \(whose)")
        }
    }

    private func check(tokens: some Sequence<Token>) throws {
        guard let stranger = tokens.first(where: { $0 < 0 || $0 >= size }) else { return }
        throw breach("the token \(stranger), which is outside of its vocabulary of \(size) tokens")
    }

    /// What the policy is asked about comes from others, whose vocabulary may be another.
    private func check(asked tokens: some Sequence<Token>) throws {
        guard let stranger = tokens.first(where: { $0 < 0 || $0 >= size }) else { return }
        throw TransferQError.policyBreach(
            policy: name,
            reason: "was given the token \(stranger), which is outside of its vocabulary of \(size) tokens: the text "
                + "was cut into tokens by another vocabulary")
    }

    private func check(_ logProbability: Double) throws {
        guard logProbability <= Self.slack else {  // not for NaN either
            throw breach(
                "\(logProbability) for a log-probability: it must be a number of at most 0; the model may be damaged")
        }
    }

    private func check(_ numbers: [Double], of tokens: [Token]) throws {
        try check(numbers.count, tokens.count, "log-probabilities", "each token")
        for number in numbers { try check(number) }
    }

    private func check(_ list: [Candidate], count: Int) throws {
        try check(list.count, min(count, size), "candidates", "each place")
        try check(tokens: list.lazy.map(\.token))
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

    private func check(_ rollout: Rollout, of start: RolloutRequest.Start, in request: RolloutRequest) throws {
        try check(tokens: rollout.tokens)
        try check(rollout.logProbabilities, of: rollout.tokens)
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
        let vocabulary = base.vocabulary
        guard !rollout.tokens.dropLast().contains(where: vocabulary.isEnd) else {
            throw breach("a rollout that goes on behind an end token")
        }
        let isEnded = (rollout.tokens.last ?? start.prefix.last).map(vocabulary.isEnd) ?? false
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
        for list in rollout.candidates.dropFirst(start.beginning.candidates.count) {
            try check(list, count: request.candidateCount)
        }
    }

    private func check(_ state: PooledState?) throws {
        guard let state else { return }
        guard state.last.count == state.mean.count else {
            throw breach("a hidden state of \(state.last.count) numbers with a mean of \(state.mean.count)")
        }
        guard state.last.allSatisfy(\.isFinite), state.mean.allSatisfy(\.isFinite) else {
            throw breach("a hidden state that holds numbers that are none; the model may be damaged")
        }
    }
}
