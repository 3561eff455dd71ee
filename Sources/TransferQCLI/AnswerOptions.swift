import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
import TransferQRewards
import TransferQRuntime

/// The limits of an answer and what it is scored by.
struct AnswerOptions: ParsableArguments {
    @Option(help: "A reward, [MODIFIER:…]KIND:ARGUMENT[:WEIGHT]; several are summed (see: transferq reward kinds).")
    var reward: [String] = []

    @Option(
        help: .rare(
            "The reward that the baseline was aligned with, for transfer-q-indirect (default: the implicit one)."))
    var baselineReward: [String] = []

    @Option(
        help: .rare("Approximate: a value head, head:FILE, in place of rollouts (see: transferq value fit --help)."))
    var value: String?

    @Option(
        help: .rare(
            "What --confidence assumes of values: a file of transferq value confidence (default: as measured on the demonstration model and head)."
        ))
    var confidenceCalibration: String?

    @Option(parsing: .unconditional, help: "Longest answer in tokens.")
    var maxTokens = 128

    @Option(
        parsing: .unconditionalSingleValue, help: "End the answer before this text; may be given several times.")
    var stop: [String] = []

    @Option(parsing: .unconditional, help: "Seed of all randomness; the same seed gives the same answer.")
    var seed: UInt64 = 0

    @Option(parsing: .unconditional, help: .rare("Seconds that a reward's program or server may take for a batch."))
    var rewardTimeout = 60.0

    @Option(
        parsing: .unconditional, help: .rare("Approximate: end an answer after so many seconds with what there is."))
    var timeBudget: Double?

    @Option(
        parsing: .unconditional,
        help: .rare("Approximate: end an answer after so many tokens, those of rollouts included."))
    var tokenBudget: Int?

    private var scoring: ScoringSpec {
        get throws {
            let valueHead = try value.map { text in
                guard text.hasPrefix("head:") else {
                    throw UsageError("--value must be head:FILE, not \(text); make a file with transferq value fit")
                }
                return String(text.dropFirst("head:".count))
            }
            return ScoringSpec(
                reward: reward.isEmpty ? nil : try RewardSpec(reward),
                baselineReward: baselineReward.isEmpty ? nil : try RewardSpec(baselineReward), valueHead: valueHead,
                confidenceCalibration: confidenceCalibration)
        }
    }

    func request(
        _ messages: [Message], form: PromptForm = .chat, method: MethodSpec
    ) throws -> AnswerRequest {
        try AnswerRequest(
            messages: messages, form: form, method: method, scoring: scoring,
            limits: AnswerLimits(
                maximumTokens: maxTokens, budget: DecodingTask.Budget(seconds: timeBudget, tokens: tokenBudget),
                stop: stop),
            seed: seed)
    }

    func validate() throws {
        guard maxTokens >= 1 else {
            throw ValidationError("max-tokens must be at least 1, not \(maxTokens)")
        }
        try validateTimeout(rewardTimeout)
    }

    /// Refuses what none of the methods would use.
    func check(methods: [ConfiguredMethod]) throws {
        guard confidenceCalibration == nil || methods.contains(where: \.hasConfidence) else {
            throw UsageError(
                "--confidence-calibration is for --confidence; leave it out, or add for example --confidence 0.99")
        }
        guard baselineReward.isEmpty || methods.contains(where: { $0.name == TransferQIndirect.name }) else {
            throw UsageError("--baseline-reward is for \(TransferQIndirect.name); leave it out, or add that method")
        }
        let valued = [TransferQDirect.name, ControlledDecoding.name]
        guard value == nil || methods.contains(where: { valued.contains($0.name) }) else {
            throw UsageError("--value is for \(valued.joined(separator: " and ")); leave it out, or add one of them")
        }
    }
}
