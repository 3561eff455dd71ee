/// The decoding loop, as a sequence that is pulled: each `next()` runs one step.
///
///     let method = try DecodingMethods.make("transfer-q", ["alpha": 0.5])
///     for try await event in try Generation(task: task, method: method.method) {
///         switch event {
///         case .step(let step): print(step.text, terminator: "")
///         case .finished(let summary): print("\nreward", summary.reward ?? .nan)
///         }
///     }
///
/// Cancelling the task that pulls ends the sequence with `CancellationError` within a token's time; the iterator's
/// ``AsyncIterator/summary(_:)`` still tells what there is.
public struct Generation: AsyncSequence, Sendable {
    public typealias Element = GenerationEvent

    let task: DecodingTask
    let method: any DecodingMethod

    /// - Throws: ``TransferQError`` when the method cannot work on this task.
    public init(task: DecodingTask, method: any DecodingMethod) throws {
        try method.validate(vocabularySize: task.tokenizer.size, hasReward: task.hasValues)
        try task.checkStatements()
        self.task = task
        self.method = method
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(state: DecodingState(task: task), method: method)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        private var state: DecodingState
        private let method: any DecodingMethod
        private var shown: AnswerText
        private var text = ""
        private var kl: Double? = 0
        private var klKind = KLKind.divergence
        private var diagnostics = Diagnostics()
        private var usage = Usage()
        private var finishReason: FinishReason?
        /// The end token, once chosen: a part of what is rewarded, but not of the response to go on from.
        private var ending: [Token] = []
        private var isDone = false
        private let clock = ContinuousClock()
        private var start: ContinuousClock.Instant?

        init(state: DecodingState, method: any DecodingMethod) {
            self.state = state
            self.method = method
            shown = AnswerText(stop: state.task.stop)
            usage.promptTokens = state.task.policies.promptTokens
        }

        public mutating func next() async throws -> GenerationEvent? {
            if isDone { return nil }
            let start = start ?? clock.now
            self.start = start
            try Task.checkCancellation()
            if let finishReason {
                isDone = true
                return .finished(try await summary(finishReason))
            }
            if state.isSpent() {
                finishReason = .budget
                return try await next()
            }
            let decision = try await method.decide(state)
            try check(decision)
            var step = take(decision)
            usage.seconds = (clock.now - start) / .seconds(1)
            state.spent = usage
            // No step comes after this one that could show what is held back.
            if state.task.stop != nil, finishReason == nil, state.isSpent() { finishReason = .budget }
            if finishReason != nil { step.text += release() }
            return .step(step)
        }

        /// What the generation came to so far. Scores the text with the task's reward, if it has one, unless something
        /// `failed`: it may have been the reward.
        public func summary(_ finishReason: FinishReason) async throws -> GenerationSummary {
            var usage = usage
            let score = try await score(finishReason, usage: &usage)
            var shown = shown
            return GenerationSummary(
                response: text + shown.release(),
                tokens: state.task.stop?.cut(state.response)?.tokens ?? state.response,
                finishReason: finishReason, reward: score?.reward,
                rewardParts: score?.parts ?? [], kl: kl,
                klKind: klKind, diagnostics: diagnostics, usage: usage)
        }

        /// The reward of what there is; nil without one, or when something failed.
        ///
        /// Of a cancelled generation it is worked out apart from the cancelled task, and given up after half a second, also
        /// when the reward goes on regardless.
        private func score(_ finishReason: FinishReason, usage: inout Usage) async throws -> RewardScore? {
            guard let model = state.task.reward, finishReason != .failed else { return nil }
            guard finishReason == .cancelled else {
                return try await Self.score(state, ending: ending, by: model, usage: &usage)
            }
            let (state, ending) = (self.state, self.ending)
            let work = SeparateWork {
                var usage = Usage()
                let score = try await Self.score(state, ending: ending, by: model, usage: &usage)
                return (score: score, usage: usage)
            }
            work.giveUp(after: .milliseconds(500))
            // Without a reward the summary still has the answer.
            guard let result = try? await work.value else { return nil }
            usage += result.usage
            return result.score
        }

        private static func score(
            _ state: DecodingState, ending: [Token], by model: any RewardModel, usage: inout Usage
        ) async throws -> RewardScore {
            let completions = try await state.answer.completions(adding: [ending], for: model)
            return try await UniqueCompletions(completions).scores(by: model, usage: &usage)[0]
        }

        /// A decision without tokens would be asked for again for ever.
        private func check(_ decision: Decision) throws {
            let tokenizer = state.task.tokenizer
            let tokens = decision.tokens
            let fault: String? =
                if tokens.isEmpty {
                    "no token"
                } else if tokens.count > state.remainingLength {
                    "\(tokens.count) tokens where the answer has room for \(state.remainingLength)"
                } else if let stranger = tokens.first(where: { $0 < 0 || $0 >= tokenizer.size }) {
                    "the token \(stranger), which is outside of the vocabulary of \(tokenizer.size) tokens"
                } else if tokens.dropLast().contains(where: tokenizer.isEnd) {
                    "tokens behind an end token"
                } else if state.answer.constraint != nil,
                    tokens.indices.dropLast().contains(where: { state.answer.isEnded(by: Array(tokens[...$0])) })
                {
                    "tokens behind a stop string"
                } else if decision.kl?.isNaN ?? false {
                    "a token at a KL that is no number"
                } else if !decision.usage.isPlausible {
                    "a token at the usage \(decision.usage), whose counts must be at least 0 and at most 2^40"
                } else {
                    nil
                }
            guard let fault else { return }
            throw TransferQError.methodBreach(method: "\(type(of: method))", reason: fault)
        }

        /// Shows what was held back.
        private mutating func release() -> String {
            let rest = shown.release()
            text += rest
            return rest
        }

        private mutating func take(_ decision: Decision) -> DecodingStep {
            let tokenizer = state.task.tokenizer
            var added = ""
            for token in decision.tokens {
                if tokenizer.isEnd(token) {
                    finishReason = .stop
                    ending = [token]
                } else {
                    state.response.append(token)
                    added += shown.append(tokenizer.bytes(of: token))
                }
            }
            if state.answer.isEnded(by: []) { finishReason = .stop }
            if finishReason == nil, state.remainingLength <= 0 { finishReason = .length }
            text += added
            if let sum = kl, let part = decision.kl { kl = sum + part } else { kl = nil }
            state.spentKL += decision.kl ?? 0
            diagnostics.add(decision)
            klKind = klKind.adding(decision.klKind)
            usage += decision.usage
            usage.completionTokens += decision.tokens.count
            defer { state.step += 1 }
            return DecodingStep(
                index: state.step, text: added, decision: decision, cumulativeKL: kl, cumulativeKLKind: klKind)
        }
    }
}
