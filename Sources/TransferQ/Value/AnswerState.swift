/// Where an answer stands: s_t = [x, y_<t] (docs/mathematics.md section 1), with the policies that read it. Values are computed
/// from it and from nothing else.
public struct AnswerState: Sendable {
    /// π_sft, with every result checked.
    public var reference: any Policy { policies.reference }
    /// ρ_BL, checked as well; the reference itself (`===`) when there is none.
    public var baseline: any Policy { policies.baseline }
    let policies: TaskPolicies
    /// What the reward sees before the response.
    public let conversation: [Message]
    /// T, the longest answer in tokens.
    public let maximumLength: Int
    /// What ends the answer besides an end token; nil for nothing.
    let stop: StopStrings?
    /// What all randomness of the answer derives from.
    private let noise: Noise
    /// y_<t; holds no end token.
    public var response: [Token] = []
    /// t, counted in decisions from 0.
    public var step = 0

    init(policies: TaskPolicies, conversation: [Message], maximumLength: Int, noise: Noise, stop: StopStrings?) {
        self.policies = policies
        self.stop = stop
        self.conversation = conversation
        self.maximumLength = maximumLength
        self.noise = noise
    }

    public var tokenizer: any Tokenizer { reference.tokenizer }

    /// Which next tokens are allowed; nil for all.
    public var constraint: (any Constraint)? { stop }

    /// Whether the answer is over when `tokens` follow the response.
    func isEnded(by tokens: [Token]) -> Bool {
        if tokens.last.map(tokenizer.isEnd) ?? false { return true }
        guard let constraint else { return false }
        return constraint.ends((response + tokens)[...])
    }

    /// Tokens that the answer may still take.
    public var remainingLength: Int { maximumLength - response.count }

    /// The randomness of this step, by what it is for.
    public func noise(_ purpose: Noise.Purpose) -> Noise { noise.derived(purpose).derived(step) }

    /// Where the answer stands when it has taken `path`, one step a token.
    func ahead(_ path: [Token]) -> AnswerState {
        var state = self
        state.response += path
        state.step += path.count
        return state
    }

    /// The next token drawn from the reference itself, with its log-probability; it costs no KL.
    func drawFromReference() async throws -> Candidate {
        var request = RolloutRequest(
            response: response, prefixes: [[]], count: 1, maximumLength: 1, sampling: .ancestral,
            noise: noise(.choice))
        request.constraint = constraint
        let draw = try await reference.rollOut(request)[0][0]
        return Candidate(token: draw.tokens[0], logProbability: draw.logProbability)
    }

    /// Completions for `reward`, one for each of `endings` behind the response. Where the reward reads the reference's
    /// hidden states they come along: the reference decodes an ending of one token once, and never again if it is chosen.
    func completions(adding endings: [[Token]], for reward: any RewardModel) async throws -> [Completion] {
        guard try await reward.reads(policies.reference, in: conversation) else {
            return endings.map { completion(adding: $0) }
        }
        let continuations = endings.map { Continuation(prefix: $0, tokens: []) }
        let readings = try await policies.reference.read(continuations, after: response)
        return zip(endings, readings).map { completion(adding: $0, state: $1.state) }
    }

    /// What a reward sees when `tokens` follow the response: the text before a stop string, without hidden states, which
    /// are of the whole.
    func completion(adding tokens: [Token], state: PooledState? = nil) -> Completion {
        let all = response + tokens
        if let cut = stop?.cut(all) {
            return Completion(conversation: conversation, text: cut.text, tokens: cut.tokens, isFinished: true)
        }
        return Completion(
            conversation: conversation, text: tokenizer.text(of: all), tokens: all,
            isFinished: all.last.map(tokenizer.isEnd) ?? false, state: state)
    }
}
