public import ArgumentParser
import Foundation
import TransferQ
public import TransferQLlama
public import TransferQRewards
import TransferQRuntime

/// Which models take part.
struct ModelOptions: ParsableArguments {
    @Option(help: "The reference policy: a known name or a GGUF file (default: the demonstration model).")
    var model: String?

    @Option(help: "The baseline: another GGUF file or known name with the same vocabulary.")
    var baseline: String?

    @Option(help: "The baseline: a system prompt for the same weights (or for --baseline).")
    var baselineSystem: String?

    @Option(help: "The baseline: a LoRA adapter (GGUF) on the same weights.")
    var baselineLora: String?

    @Option(help: "Threads (default: one for each processor).")
    var threads: Int?

    @Option(
        parsing: .unconditional,
        help: "Layers that a graphics processor computes (default: all, where there is one).")
    var gpuLayers: Int?

    @Option(
        parsing: .unconditional,
        help: "Longest prompt with its answer, in tokens (default: what the model was trained on).")
    var context: Int?

    @Option(
        help: """
            Format of keys and values: \(LlamaOptions.CacheType.allCases.map(\.rawValue).joined(separator: ", ")) \
            (default: what suits the weights).
            """)
    var cacheType: LlamaOptions.CacheType?

    @Option(
        help: ArgumentHelp(
            "What a chat template is told that asks for the date (default: now).",
            valueName: "YYYY-MM-DD[THH:MM[:SS]]"))
    var date: TemplateDate?

    func validate() throws {
        if baseline != nil, baselineLora != nil {
            throw ValidationError(
                "give --baseline or --baseline-lora, not both: an adapter goes on the reference's weights")
        }
        try validateThreads(threads)
    }

    /// The models as options say, with rewards whose programs and servers may take so many seconds for a batch.
    func runtime(rewardTimeout: Double = 60) throws -> Runtime {
        var spec: BaselineSpec?
        if baseline != nil || baselineLora != nil || baselineSystem != nil {
            spec = try BaselineSpec(
                model: baseline.map(ModelSpec.init), adapter: baselineLora, system: baselineSystem)
        }
        return Runtime(
            engine: LlamaEngine(
                library: ModelFiles.library(
                    try LlamaOptions(gpuLayers: gpuLayers, contextLength: context, cacheType: cacheType)),
                threads: threads, templateDate: date),
            model: try model.map(ModelSpec.init), baseline: spec, rewardTimeout: rewardTimeout, heads: ModelFiles.heads)
    }
}

func validateTimeout(_ seconds: Double) throws {
    guard seconds.isFinite, seconds > 0, seconds <= 86_400 else {
        throw ValidationError("--reward-timeout must be above 0 and at most 86400 seconds, not \(seconds)")
    }
}

func validateThreads(_ threads: Int?) throws {
    if let threads, !(1...1024).contains(threads) {
        throw ValidationError("--threads must be between 1 and 1024, not \(threads)")
    }
}

extension TemplateDate: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// What is asked.
struct PromptOptions: ParsableArguments {
    @Argument(help: "The prompt (default: read from --file, --messages or standard input; - reads standard input).")
    var prompt: String?

    @Option(help: "Read the prompt from a UTF-8 file.")
    var file: String?

    @Option(help: "Read a conversation from a JSON file: [{\"role\": \"user\", \"content\": \"…\"}, …].")
    var messages: String?

    @Option(help: "A system prompt.")
    var system: String?

    @Flag(help: "Continue the prompt as plain text, without the model's chat template.")
    var raw = false

    @Flag(
        help:
            "With --raw: what the prompt spells of the model's special tokens, such as <|im_start|>, is meant as such.")
    var special = false

    var form: PromptForm { raw ? special ? .rawWithMarkers : .raw : .chat }

    func validate() throws {
        if [prompt, file, messages].compactMap({ $0 }).count > 1 {
            throw ValidationError("give the prompt once: as an argument, with --file, or with --messages")
        }
        if raw, system != nil || messages != nil {
            throw ValidationError("--raw continues plain text, so it goes without --system and --messages")
        }
        if special, !raw {
            throw ValidationError(
                "--special goes with --raw: in a conversation, the chat template writes the special tokens")
        }
    }

    /// The conversation, its system prompt first.
    func conversation() throws -> [Message] {
        var conversation: [Message]
        if let messages {
            let data = Data(try read(messages).utf8)
            do {
                conversation = try RewardData.conversation(in: data, path: messages)
            } catch RewardError.badData(_, let line, let reason) {
                throw UsageError(
                    "\(messages) is no conversation; write [{\"role\": \"user\", \"content\": \"…\"}] in it (line \(line): "
                        + "\(reason))")
            }
        } else {
            // As in other programs, - is standard input.
            let written = prompt == "-" ? nil : prompt
            var text = try written ?? file.map(read) ?? read("-")
            if written == nil, text.hasSuffix("\n") { text.removeLast() }
            conversation = [Message(role: "user", content: text)]
        }
        guard conversation.contains(where: { $0.role != "system" && !$0.content.allSatisfy(\.isWhitespace) }) else {
            throw LlamaError.emptyPrompt
        }
        if let system { conversation.insert(Message(role: "system", content: system), at: 0) }
        return conversation
    }

    /// The text of a file, or of standard input for `-`.
    private func read(_ path: String) throws -> String {
        if path == "-", Console.isInputTerminal { Console.say("reading the prompt; end it with Ctrl-D") }
        let data: Data
        do {
            data =
                try path == "-"
                ? FileHandle.standardInput.readToEnd() ?? Data() : Data(contentsOf: URL(filePath: path))
        } catch {
            throw UsageError(
                path == "-"
                    ? "standard input cannot be read; give the prompt as an argument, or with --file"
                    : "\(path) cannot be read; check the path and its permissions")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw UsageError(
                "\(path == "-" ? "standard input" : path) is not valid UTF-8; convert it, for example with iconv")
        }
        return text
    }
}

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

/// The limits of an answer and what it is scored by.
struct AnswerOptions: ParsableArguments {
    @Option(help: "A reward, [MODIFIER:…]KIND:ARGUMENT[:WEIGHT]; several are summed (see: transferq reward kinds).")
    var reward: [String] = []

    @Option(help: "The reward that the baseline was aligned with, for transfer-q-indirect (default: the implicit one).")
    var baselineReward: [String] = []

    @Option(help: "Approximate: a value head, head:FILE, in place of rollouts (see: transferq value fit --help).")
    var value: String?

    @Option(
        help:
            "What --confidence assumes of values: a file of transferq value confidence (default: as measured on the demonstration model and head)."
    )
    var confidenceCalibration: String?

    @Option(parsing: .unconditional, help: "Longest answer in tokens.")
    var maxTokens = 128

    @Option(
        parsing: .unconditionalSingleValue, help: "End the answer before this text; may be given several times.")
    var stop: [String] = []

    @Option(parsing: .unconditional, help: "Seed of all randomness; the same seed gives the same answer.")
    var seed: UInt64 = 0

    @Option(parsing: .unconditional, help: "Seconds that a reward's program or server may take for a batch.")
    var rewardTimeout = 60.0

    @Option(parsing: .unconditional, help: "Approximate: end an answer after so many seconds with what there is.")
    var timeBudget: Double?

    @Option(
        parsing: .unconditional, help: "Approximate: end an answer after so many tokens, those of rollouts included.")
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

/// Rewards outside of a generation.
struct RewardOptions: ParsableArguments {
    @Option(help: "A reward, [MODIFIER:…]KIND:ARGUMENT[:WEIGHT]; several are summed (see: transferq reward kinds).")
    var reward: [String] = []

    @Option(parsing: .unconditional, help: "Seconds that a reward's program or server may take for a batch.")
    var rewardTimeout = 60.0

    @Option(help: "Threads (default: one for each processor).")
    var threads: Int?

    func validate() throws {
        guard !reward.isEmpty else {
            throw ValidationError("give a reward with --reward, for example --reward length:40")
        }
        try validateTimeout(rewardTimeout)
        try validateThreads(threads)
    }

    @Option(help: "The model in use, a known name or a GGUF file (default: the demonstration model).")
    var model: String?

    /// - Parameter modifier: stands before each reward as it was given.
    func rewardModel(modifier: String = "") async throws -> any RewardModel {
        try await runtime().catalogue().parse(reward.map { modifier + $0 })
    }

    func runtime() throws -> Runtime {
        Runtime(
            engine: LlamaEngine(library: ModelFiles.library, threads: threads), model: try model.map(ModelSpec.init),
            rewardTimeout: rewardTimeout, heads: ModelFiles.heads)
    }
}

extension LlamaOptions.CacheType: ExpressibleByArgument {}
extension LinearHead.Template: ExpressibleByArgument {}
extension LinearHead.Pooling: ExpressibleByArgument {}
