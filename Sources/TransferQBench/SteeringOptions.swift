import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRewards
import TransferQRuntime

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

    /// What is asked.
    ///
    /// - Parameter maximumLength: of the answer in tokens, where it is not `--max-tokens`.
    func request(
        _ messages: [Message], maximumLength: Int? = nil, method: MethodSpec
    ) throws -> AnswerRequest {
        try AnswerRequest(
            messages: messages, method: method, scoring: ScoringSpec(reward: RewardSpec([reward])),
            limits: AnswerLimits(maximumTokens: maximumLength ?? maxTokens), seed: 1)
    }

    /// transfer-q with greedy rollouts and choices, and what `more` adds or replaces.
    func method(_ more: [String: ParameterValue] = [:]) throws -> MethodSpec {
        let parameters: [String: ParameterValue] = [
            "k": .integer(k), "horizon": .integer(horizon), "alpha": .number(alpha), "tilt": .text(tilt.rawValue),
            "choice": "greedy",
        ]
        return try MethodSpec(TransferQDirect.name, parameters.merging(more) { $1 })
    }
}

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

/// Prompts to measure on, each in contexts of its own, with one reward for all of them.
struct SteeredPrompts {
    private let steering: SteeringOptions
    private let runtime: Runtime

    init(_ steering: SteeringOptions) throws {
        self.steering = steering
        runtime = try steering.models.runtime()
    }

    /// - Parameter maximumLength: of an answer in tokens, where it is not `--max-tokens`.
    func open(
        _ conversation: [Message], maximumLength: Int? = nil, method: MethodSpec
    ) async throws -> SteeredPrompt {
        let request = try steering.request(conversation, maximumLength: maximumLength, method: method)
        let prepared = try await runtime.prepare(request)
        for notice in prepared.notices + prepared.prompts[0].notices { Console.sayOnce(notice) }
        return SteeredPrompt(
            model: try await steering.models.load().model, prompt: try await prepared.open(0),
            method: try method.configured())
    }
}

/// A prompt that a method is measured on.
struct SteeredPrompt {
    /// The reference's, which the engine loaded once for all.
    let model: LlamaModel
    let prompt: PreparedPrompt
    let method: ConfiguredMethod

    /// Reads the prompts, the reward's as well, ahead of any answer.
    func readAllPrompts() async throws {
        try await prompt.readPrompts()
        _ = try await prompt.rewards.target?.rewards(
            for: [Completion(conversation: prompt.messages, text: "", tokens: [], isFinished: false)])
    }

    /// Runs the method to its end; one that fails on the way is no measurement.
    func measure(onStep: (DecodingStep) throws -> Void = { _ in }) async throws -> GenerationSummary {
        try await prompt.answer(by: method, isWhole: true) { event in
            if case .step(let step) = event { try onStep(step) }
        }
    }
}
