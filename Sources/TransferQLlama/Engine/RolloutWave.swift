import TransferQ

/// What is rolled out together, and how a rollout goes on from the logits after its last token; decoding is the policy's.
struct RolloutWave {
    /// Some rollouts of one start, made in one wave.
    struct Job {
        let start: RolloutRequest.Start
        /// Where the start stands in the request.
        let index: Int
        let numbers: Range<Int>

        /// What is decoded before a token is chosen.
        var text: [Token] { start.prefix + start.beginning.tokens }
        /// Whether the prefix or what is known ends the response.
        var isEnded: Bool { start.beginning.finishReason == .stop }
    }

    /// One rollout in the making.
    struct Row {
        let job: Int
        let noise: Noise
        var rollout: Rollout
        /// Nil until a token is to be decoded.
        var sequence: SequenceLease?
        /// Where the rollout's last token belongs.
        var position: Int
        /// Nil when states are not wanted.
        var pool: StatePool?
        var isDone = false
        /// Whether the last token is yet to be decoded for its state alone.
        var lacksState = false
    }

    let jobs: [Job]
    let request: RolloutRequest
    let tokenizer: any Tokenizer
    /// Tokens of prompt and response.
    let start: Int

    /// The rollouts of a job, from the logits after its text.
    func begin(_ job: Int, pool: StatePool?, _ logits: LogitRow) throws -> [Row] {
        try jobs[job].numbers.map { number in
            var row = Row(
                job: job, noise: jobs[job].start.noise(rollout: number), rollout: jobs[job].start.beginning,
                position: start + jobs[job].text.count - 1, pool: pool)
            row.isDone = jobs[job].isEnded || row.rollout.tokens.count >= jobs[job].start.maximumLength
            if !row.isDone { try append(to: &row, logits) }
            return row
        }
    }

    /// Chooses the next token of a rollout.
    func append(to row: inout Row, _ logits: LogitRow) throws {
        let uniform = row.noise.derived(row.rollout.tokens.count)
        let start = jobs[row.job].start
        var text = request.constraint == nil ? [] : request.response + start.prefix + row.rollout.tokens
        let allowed = request.constraint?.tokens(after: text[...])
        guard let (top, normaliser) = logits.summary else { throw LlamaError.logitsNotNumeric }
        let notes = request.candidateCount > 0 && row.rollout.candidates.count == row.rollout.tokens.count
        let (choice, candidates) = logits.restricted(to: allowed) { logits in
            (
                request.sampling.isGreedy
                    ? allowed == nil ? top : logits.top?.token
                    : request.sampling.choose(from: logits, uniform: uniform.uniform),
                notes
                    ? logits.candidates(
                        count: min(request.candidateCount, allowed?.count ?? .max), normaliser: normaliser) : []
            )
        }
        guard let token = choice else { throw LlamaError.logitsNotNumeric }
        if notes { row.rollout.candidates.append(candidates) }
        row.rollout.tokens.append(token)
        row.rollout.logProbabilities.append(Double(logits.logits[Int(token)]) - normaliser)
        row.position += 1
        text.append(token)
        let isEnded = tokenizer.isEnd(token) || request.constraint?.ends(text[...]) ?? false
        if isEnded { row.rollout.finishReason = .stop }
        row.isDone = row.rollout.finishReason == .stop || row.rollout.tokens.count >= start.maximumLength
        row.lacksState = row.isDone && row.rollout.finishReason != .stop && request.wantsStates
    }
}
