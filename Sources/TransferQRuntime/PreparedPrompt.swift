public import TransferQ
import TransferQRewards

/// What happens while an answer is made.
public enum AnswerEvent: Sendable {
    /// What a person should know, a sentence. The same sentence may come with several answers.
    case notice(String)
    case step(DecodingStep)
    /// The answer failed behind its first step; a summary of what there is follows, with the reason `failed`.
    case failure(any Error)
    case finished(GenerationSummary)
}

/// A prompt that is ready to be answered, by one method or by several one after the other: policies bound to it in a slot,
/// rewards and limits.
public struct PreparedPrompt: Sendable {
    public let messages: [Message]
    public let prompts: PromptTokens
    public let rewards: LoadedRewards
    /// Longest answer in tokens, what the prompts leave room for.
    public let maximumLength: Int
    public let budget: DecodingTask.Budget
    /// Ends the answer before any of its strings; nil without one.
    public let stop: StopStrings?
    public let seed: UInt64
    public let reference: any Policy
    /// Nil where it is the reference.
    public let baseline: (any Policy)?
    let slot: any AnswerSlot

    /// - Parameter prompts: `request`'s, laid out by `models`.
    public init(
        _ request: AnswerRequest, _ prompts: PromptTokens, of models: any LoadedModels, rewards: LoadedRewards,
        in slot: any AnswerSlot
    ) async throws {
        messages = request.messages
        self.prompts = prompts
        self.rewards = rewards
        maximumLength = try models.maximumLength(request.limits.maximumTokens, after: prompts)
        budget = request.limits.budget
        let strings = request.limits.stop
        stop = strings.isEmpty ? nil : try StopStrings(strings, tokenizer: models.tokenizer)
        seed = request.seed
        (reference, baseline) = try await slot.policies(for: prompts)
        self.slot = slot
    }

    public func task() throws -> DecodingTask {
        var task = try DecodingTask(
            reference: reference, baseline: baseline, reward: rewards.target, baselineReward: rewards.baseline,
            conversation: messages, maximumLength: maximumLength, seed: seed)
        task.budget = budget
        task.stop = stop
        task.batchWidth = slot.batchWidth
        task.valueHead = rewards.value
        if let confidence = rewards.confidence { task.confidenceCalibration = confidence }
        return task
    }

    /// What makes an answer differ from its method's own.
    public var approximations: [String] { (rewards.value.map { ["value \($0.name)"] } ?? []) + budget.names }

    /// Decodes the prompts ahead of any answer.
    public func readPrompts() async throws {
        try await slot.perform {
            _ = try await reference.propose(after: [], count: 1)
            _ = try await baseline?.propose(after: [], count: 1)
        }
    }

    /// Runs one method to its end, or to where cancellation or a failure cut it.
    ///
    /// A failure behind the first step leaves what there is, with the reason `failed`; cancellation leaves it at any time,
    /// with the reason `cancelled`.
    ///
    /// - Parameters:
    ///   - isWhole: whether only a whole answer will do: then what cut it is thrown.
    ///   - onEvent: called with every event but the last, whose summary is returned.
    /// - Throws: what failed ahead of the first step; with `isWhole` whatever cut the answer.
    public func answer(
        by method: ConfiguredMethod, isWhole: Bool = false, onEvent: (AnswerEvent) throws -> Void = { _ in }
    ) async throws -> GenerationSummary {
        var answer = try RunningAnswer(self, method)
        while let event = try await answer.next(isWhole: isWhole) {
            if case .finished(let summary) = event { return summary }
            try onEvent(event)
        }
        throw CancellationError()
    }
}

/// An answer that is pulled, event by event.
struct RunningAnswer {
    private let slot: any AnswerSlot
    private var generation: Generation.AsyncIterator
    private var notices: [String]
    private var hasStep = false
    /// Of an answer that is over.
    private var summary: GenerationSummary?
    private var isOver = false

    init(_ prompt: PreparedPrompt, _ method: ConfiguredMethod) throws {
        let task = try prompt.task()
        notices = method.method.warnings(for: task).map { "\(method.name): \($0)" }
        if method.hasConfidence, prompt.rewards.confidence == nil {
            notices.append(
                "--confidence goes by how values differed with \(ConfidenceCalibration.standard.source); for another "
                    + "model or reward, measure it with transferq value confidence")
        }
        slot = prompt.slot
        generation = try Generation(task: task, method: method.method).makeAsyncIterator()
    }

    /// The next event; nil behind the summary.
    mutating func next(isWhole: Bool) async throws -> AnswerEvent? {
        if !notices.isEmpty { return .notice(notices.removeFirst()) }
        if let summary {
            isOver = true
            self.summary = nil
            return .finished(summary)
        }
        if isOver { return nil }
        do {
            guard let event = try await step() else { return nil }
            return take(event)
        } catch  where isWhole {
            throw error
        } catch is CancellationError {
            summary = try await generation.summary(.cancelled)
            return try await next(isWhole: isWhole)
        } catch  where hasStep {
            summary = try await generation.summary(.failed)
            return .failure(error)
        }
    }

    private mutating func step() async throws -> GenerationEvent? {
        let slot = slot
        return try await slot.perform { try await generation.next() }
    }

    private mutating func take(_ event: GenerationEvent) -> AnswerEvent {
        switch event {
        case .step(let step):
            hasStep = true
            return .step(step)
        case .finished(let summary):
            guard let value = summary.diagnostics.outsideRange else {
                isOver = true
                return .finished(summary)
            }
            self.summary = summary
            return .notice(
                "the reward came to \(value), outside --reward-range; such steps were searched in full, but "
                    + "others may have left out too much: state a wider range")
        }
    }
}
