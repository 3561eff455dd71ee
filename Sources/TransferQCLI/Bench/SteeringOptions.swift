public import ArgumentParser
import Foundation
public import TransferQ
import TransferQLlama
import TransferQRewards

/// What the measurements of transfer-q have in common: the models, the reward and the method's parameters.
struct SteeringOptions: ParsableArguments {
    @OptionGroup(title: "Models") var models: ModelOptions
    @Option(help: "The reward, [MODIFIER:…]KIND:ARGUMENT (see: transferq reward kinds).") var reward =
        "head:Rewards/harmless.json"
    @Option(parsing: .unconditional, help: "Candidates a step.") var k = 10
    @Option(parsing: .unconditional, help: "Most tokens of a rollout.") var horizon = 20
    @Option(parsing: .unconditional, help: "Reward per nat.") var alpha = 1.0
    @Option(help: "reference or baseline.") var tilt: Guidance.Tilt = .baseline
    @Option(parsing: .unconditional, help: "Longest answer in tokens.") var maxTokens = 48
    @Option(help: "text or json.") var format: OutputFormat = .text

    func validate() throws {
        guard maxTokens >= 1 else { throw ValidationError("--max-tokens must be at least 1, not \(maxTokens)") }
    }

    /// How answers are made.
    func answer() throws -> AnswerOptions {
        try AnswerOptions.parse(["--reward", reward, "--max-tokens", "\(maxTokens)", "--seed", "1"])
    }

    /// transfer-q with greedy rollouts and choices, and what `more` adds or replaces.
    func method(_ more: [String: ParameterValue] = [:]) throws -> ConfiguredMethod {
        let parameters: [String: ParameterValue] = [
            "k": .integer(k), "horizon": .integer(horizon), "alpha": .number(alpha), "tilt": .text(tilt.rawValue),
            "choice": "greedy",
        ]
        return try DecodingMethods.make(TransferQDirect.name, parameters.merging(more) { $1 })
    }
}

extension Guidance.Tilt: ExpressibleByArgument {}

/// Prompts of a file to measure on.
struct PromptFileOptions: ParsableArguments {
    @Option(help: "JSON lines with a prompt, or data of prompts with answers.") var prompts = "Benchmarks/prompts.jsonl"
    @Option(parsing: .unconditional, help: "Use the first so many prompts.") var limit = 10

    func validate() throws {
        guard limit >= 1 else { throw ValidationError("--limit must be at least 1, not \(limit)") }
    }

    func conversations() throws -> [[Message]] {
        try RewardData.prompts(prompts, limit: limit, options: RecordOptions(notice: Console.say))
    }
}

/// Opens sessions as options say, with one reward for all of them.
struct SteeredSessions {
    private let models: ModelOptions
    private let answer: AnswerOptions
    private let rewards: Rewards

    init(_ steering: SteeringOptions) async throws {
        models = steering.models
        answer = try steering.answer()
        rewards = try await Rewards(answer, models: steering.models)
    }

    /// - Parameter maximumLength: of an answer in tokens, where it is not `--max-tokens`.
    func open(
        _ conversation: [Message], maximumLength: Int? = nil, methods: [ConfiguredMethod]
    ) async throws -> Session {
        var answer = answer
        if let maximumLength { answer.maxTokens = maximumLength }
        return try await Session.open(
            models: models, conversation: conversation, answer: answer, rewards: rewards, methods: methods)
    }
}

extension Session {
    /// Reads the prompts, the reward's as well, ahead of any generation.
    func readAllPrompts() async throws {
        try await readPrompts()
        _ = try await reward?.rewards(
            for: [Completion(conversation: conversation, text: "", tokens: [], isFinished: false)])
    }

    /// Runs one generation to its end; one that fails on the way, which ``run(_:warns:onStep:)`` says, is no measurement.
    func measure(
        _ method: ConfiguredMethod, onStep: @Sendable (DecodingStep) throws -> Void = { _ in }
    ) async throws -> GenerationSummary {
        let summary = try await run(method, warns: false, onStep: onStep)
        guard summary.finishReason != .failed else { throw ExitCode.failure }
        return summary
    }
}
