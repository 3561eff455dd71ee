import Foundation
import Synchronization
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// Times answers token by token.
struct CostMeasurement {
    let prompts: SteeredPrompts
    let rounds: Int
    /// Of an answer in tokens, where no other is asked for.
    let maximumLength: Int

    /// Asked one after the other until one has long answers; the first is also asked for short ones.
    static let questions = [
        "Write a very long story about a lighthouse keeper, in many chapters.",
        "Name one hundred things that one can do in a garden, as a numbered list.",
        "Describe every month of the year in great detail, one after the other.",
        "Explain the history of the bicycle from its beginning until today, as thoroughly as you can.",
    ]

    /// Medians over the rounds of seconds per token; the settings take turns.
    func secondsPerToken(
        _ settings: [(method: MethodSpec, conversation: [Message])], varied: String
    ) async throws -> [Double] {
        var seconds = settings.map { _ in [Double]() }
        let progress = ProgressLine("answers (varied: \(varied))", of: rounds * settings.count)
        for round in 0..<rounds {
            for (index, setting) in settings.enumerated() {
                let answer = try await self.seconds(setting.method, setting.conversation, maximumLength: maximumLength)
                seconds[index].append(answer[answer.count - 1] / Double(answer.count))
                progress.update(round * settings.count + index + 1)
            }
        }
        return seconds.map(median)
    }

    /// Seconds until each of `length` tokens of answers to the first question to which every method's answer is that long;
    /// of each token the median over the rounds (``QuadraticGrowth/typicalAnswer(of:)``).
    ///
    /// - Throws: `UsageError` when there is none.
    func longAnswers(
        of methods: [MethodSpec], length: Int
    ) async throws -> (question: String, seconds: [[Double]]) {
        search: for question in Self.questions {
            var seconds = methods.map { _ in [[Double]]() }
            let progress = ProgressLine("long answers", of: rounds * methods.count)
            for round in 0..<rounds {
                for (index, method) in methods.enumerated() {
                    let conversation = [Message(role: "user", content: question)]
                    let answer = try await self.seconds(method, conversation, maximumLength: length)
                    guard answer.count == length else { continue search }
                    seconds[index].append(answer)
                    progress.update(round * methods.count + index + 1)
                }
            }
            return (question, seconds.map(QuadraticGrowth.typicalAnswer))
        }
        throw UsageError(
            "none of the \(Self.questions.count) questions has an answer of \(length) tokens with this model and reward; "
                + "lower --answer-lengths, or choose another --reward")
    }

    /// Seconds until each token of an answer, from when the prompts have been read.
    private func seconds(
        _ method: MethodSpec, _ conversation: [Message], maximumLength: Int
    ) async throws -> [Double] {
        let open = try await prompts.open(conversation, maximumLength: maximumLength, method: method)
        try await open.readAllPrompts()
        let seconds = Mutex<[Double]>([])
        let start = ContinuousClock.now
        _ = try await open.measure { step in
            let now = (ContinuousClock.now - start) / .seconds(1)
            seconds.withLock { $0 += step.decision.tokens.map { _ in now } }
        }
        return seconds.withLock { $0 }
    }
}

/// A question behind so much neutral text that the whole prompt has a number of tokens.
struct PaddedPrompt {
    let conversation: [Message]
    /// What came of it.
    let tokens: Int

    private static let words = "The weather was mild that week and the shops were open as usual.".split(separator: " ")

    /// - Throws: `UsageError` when the question alone is longer, `LlamaError` when the model's context is shorter.
    init(_ question: String, tokens: Int, model: LlamaModel) async throws {
        func padded(_ count: Int) async throws -> (conversation: [Message], tokens: Int) {
            let padding = (0..<count).map { Self.words[$0 % Self.words.count] }.joined(separator: " ")
            let conversation = [Message(role: "user", content: count == 0 ? question : "\(padding)\n\n\(question)")]
            return (conversation, try model.prompt(for: conversation).count)
        }
        guard tokens < model.contextLength else {
            throw LlamaError.promptTooLong(tokens: tokens, limit: model.contextLength)
        }
        var best = try await padded(0)
        guard best.tokens <= tokens else {
            throw UsageError(
                "--prompt-lengths \(tokens) is less than the question's own \(best.tokens) tokens; give at least those")
        }
        // The most words that fit; every word has a token or more.
        var (fits, exceeds) = (0, tokens + 1)
        while exceeds - fits > 1 {
            let count = (fits + exceeds) / 2
            let next = try await padded(count)
            if next.tokens <= tokens { (fits, best) = (count, next) } else { exceeds = count }
        }
        (conversation, self.tokens) = best
    }
}
