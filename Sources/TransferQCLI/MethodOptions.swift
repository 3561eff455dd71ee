import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
import TransferQRewards
import TransferQRuntime

/// How to decode. Every parameter belongs to some methods and is refused by the others; `transferq methods` lists them.
struct MethodOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "Candidates a step.")
    var k: Int?

    @Option(parsing: .unconditional, help: "Most tokens of a rollout after its candidate.")
    var horizon: Int?

    @Option(parsing: .unconditional, help: "Rollouts per candidate (N).")
    var rollouts: Int?

    @Option(parsing: .unconditional, help: "Temperature of the rollouts; 0 is greedy.")
    var rolloutTemperature: Double?

    @Option(
        parsing: .unconditional,
        help: """
            Pull to the tilted policy, in reward per nat; smaller follows the reward more (default: one spread of the \
            reward on typical answers, a tenth of the range of a rule).
            """)
    var alpha: Double?

    @Option(help: "The policy that is tilted: reference or baseline.")
    var tilt: String?

    @Option(help: "Take the tilted distribution's top token (greedy, the default), or draw from it (sample).")
    var choice: String?

    @Option(help: "The policy that plain methods decode from: reference or baseline.")
    var policy: String?

    @Option(
        name: [.customShort("n"), .customLong("n")], parsing: .unconditional, help: "Responses of best-of-n.")
    var count: Int?

    @Option(
        parsing: .unconditional, help: "Temperature of plain decoding, or of the policy that is tilted; 0 is greedy.")
    var temperature: Double?

    @Option(parsing: .unconditional, help: "Plain decoding keeps the k most likely tokens.")
    var topK: Int?

    @Option(parsing: .unconditional, help: "Plain decoding keeps the fewest tokens that hold this much probability.")
    var topP: Double?

    @Option(parsing: .unconditional, help: "Plain decoding keeps tokens at least this fraction as likely as the first.")
    var minP: Double?

    @Option(parsing: .unconditional, help: "KL penalty that the policies are aligned with, in reward per nat.")
    var beta: Double?

    @Option(parsing: .unconditional, help: "Keep log-weights of rollouts within this of their mean, nats.")
    var clip: Double?

    @Option(parsing: .unconditional, help: "Most KL of the whole answer, nats; raises alpha step by step.")
    var klBudget: Double?

    @Option(parsing: .unconditional, help: "Choose among k sampled blocks of this many tokens.")
    var blockwise: Int?

    @Option(help: "Exact speed-ups to switch off: prune, reuse, look-ahead (split by commas), or all.")
    var without: String?

    @Option(
        parsing: .unconditional,
        help: "Rollouts that a batch is filled up to with those of coming steps (default: as measured).")
    var width: Int?

    @Option(parsing: .unconditional, help: "The range of a reward that states none, LOW..HIGH: lets bounds prune.")
    var rewardRange: String?

    @Option(parsing: .unconditional, help: "Approximate: leave out what wins with a chance below 1 - this, a step.")
    var confidence: Double?

    @Option(parsing: .unconditional, help: "Share of what confidence leaves out that is evaluated to check.")
    var audit: Double?

    @Option(parsing: .unconditional, help: "Approximate: no rollouts where the candidates' entropy (nats) is lower.")
    var gateEntropy: Double?

    @Option(parsing: .unconditional, help: "Approximate: no rollouts where the first candidate is at least as likely.")
    var gateProbability: Double?

    @Flag(help: "Approximate: halve the candidates by their unfinished rollouts.")
    var race = false

    /// The parameters given, by their names in the method table.
    var values: [String: ParameterValue] {
        let given: [(String, ParameterValue?)] = [
            ("k", k.map { .integer($0) }), ("horizon", horizon.map { .integer($0) }),
            ("rollouts", rollouts.map { .integer($0) }),
            ("rollout-temperature", rolloutTemperature.map { .number($0) }), ("alpha", alpha.map { .number($0) }),
            ("tilt", tilt.map { .text($0) }), ("choice", choice.map { .text($0) }),
            ("policy", policy.map { .text($0) }), ("n", count.map { .integer($0) }),
            ("temperature", temperature.map { .number($0) }), ("top-k", topK.map { .integer($0) }),
            ("top-p", topP.map { .number($0) }), ("min-p", minP.map { .number($0) }),
            ("beta", beta.map { .number($0) }), ("clip", clip.map { .number($0) }),
            ("kl-budget", klBudget.map { .number($0) }), ("blockwise", blockwise.map { .integer($0) }),
            ("without", without.map { .text($0) }), ("width", width.map { .integer($0) }),
            ("reward-range", rewardRange.map { .text($0) }), ("confidence", confidence.map { .number($0) }),
            ("audit", audit.map { .number($0) }), ("gate-entropy", gateEntropy.map { .number($0) }),
            ("gate-probability", gateProbability.map { .number($0) }), ("race", race ? .text("on") : nil),
        ]
        return Dictionary(uniqueKeysWithValues: given.compactMap { name, value in value.map { (name, $0) } })
    }
}
