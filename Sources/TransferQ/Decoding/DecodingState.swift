/// Where a generation stands: the answer so far, what it has spent, and what the search remembers.
public struct DecodingState: Sendable {
    public let task: DecodingTask
    /// s_t: what values are computed from.
    public private(set) var answer: AnswerState
    /// y_<t; holds no end token.
    public var response: [Token] {
        get { answer.response }
        set { answer.response = newValue }
    }
    /// t, counted in decisions from 0.
    public var step: Int {
        get { answer.step }
        set { answer.step = newValue }
    }
    /// Σ KL of the decisions so far, nats.
    public var spentKL: Double
    /// What the decisions so far cost.
    public var spent = Usage()
    /// When the first step began.
    let start = ContinuousClock.now
    /// What earlier steps found out about later ones; it changes what a step costs, never what it chooses.
    let memory: SearchMemory

    public init(task: DecodingTask, response: [Token] = [], step: Int = 0, spentKL: Double = 0) {
        self.task = task
        answer = AnswerState(
            policies: task.policies, conversation: task.conversation, maximumLength: task.maximumLength,
            noise: task.noise, stop: task.stop)
        self.spentKL = spentKL
        memory = SearchMemory(task.confidenceCalibration)
        self.response = response
        self.step = step
    }

    /// Whether the budget is used up, the `usage` of the step under way included.
    func isSpent(adding usage: Usage = Usage()) -> Bool {
        let budget = task.budget
        if let seconds = budget.seconds, (ContinuousClock.now - start) / .seconds(1) >= seconds { return true }
        if let tokens = budget.tokens {
            return spent.generatedTokens + usage.generatedTokens >= tokens
        }
        return false
    }

    /// Tokens that the answer may still take.
    public var remainingLength: Int { answer.remainingLength }

    /// The randomness of this step, by what it is for.
    public func noise(_ purpose: Noise.Purpose) -> Noise { answer.noise(purpose) }
}
