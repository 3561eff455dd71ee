public import TransferQ
import TransferQRuntime

/// One method's answer to one prompt of a set.
public struct PromptResult: Codable, Sendable {
    public let prompt: Int
    public let method: String
    /// A hash of the conversation. With all else that the answer depends on, it lets a run go on with results of its
    /// own only.
    public let conversation: String
    public let settings: RunSettings
    /// Nil in files of earlier versions.
    public var seed: UInt64?
    public let response: String
    public let finishReason: FinishReason
    public let reward: Double
    public let kl: Double?
    /// What `kl` is; nil in files of earlier versions.
    public let klKind: KLKind?
    public let usage: Usage

    /// - Parameters:
    ///   - prompt: its place in the set.
    ///   - conversation: its fingerprint.
    /// - Returns: nil for an answer without a reward.
    public init?(
        _ summary: GenerationSummary, prompt: Int, conversation: String, method: String, settings: RunSettings,
        seed: UInt64
    ) {
        guard let reward = summary.reward else { return nil }
        self.prompt = prompt
        self.method = method
        self.conversation = conversation
        self.settings = settings
        self.seed = seed
        self.reward = reward
        response = summary.response
        finishReason = summary.finishReason
        kl = summary.kl
        klKind = summary.klKind
        usage = summary.usage
    }
}

extension PromptResult {
    fileprivate struct Question: Hashable {
        let prompt: Int
        let seed: UInt64?
    }

    fileprivate var question: Question { Question(prompt: prompt, seed: seed) }
}

extension LineFile<PromptResult> {
    /// The results that earlier runs left, those of other methods and seeds among them.
    ///
    /// - Parameter settings: of this run, without a method's own.
    public init(path: String?, methods: [ConfiguredMethod], settings: RunSettings) throws {
        let own = Dictionary(uniqueKeysWithValues: methods.map { ($0.name, settings.with($0)) })
        try self.init(path: path, what: "results", beginning: "{\"conversation\":") { result in
            let earlier = result.settings
            // Answers of other methods and seeds stand beside those of this run.
            guard let mine = own[result.method], earlier.seed == settings.seed else {
                return settings.common.differences(from: earlier.common)
            }
            return mine.differences(from: earlier)
        }
    }

    /// Whether an answer of this run is there.
    ///
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` when it answers something else.
    public func contains(prompt: Int, conversation: String, method: String, seed: String?) throws -> Bool {
        guard
            let result = records.first(where: {
                $0.prompt == prompt && $0.method == method && $0.settings.seed == seed
            })
        else { return false }
        guard result.conversation == conversation else { throw otherPrompts(at: prompt) }
        return true
    }
}

/// What methods came to on a set of prompts, against the first of them: differences are paired by prompt and seed, and
/// answers to one prompt under several seeds are a cluster that counts once.
public struct PromptSetTable: Encodable, Sendable {
    public struct Row: Encodable, Sendable {
        public let method: String
        public let prompts: Int
        /// More than prompts where there are several seeds.
        public let answers: Int
        public let meanReward: MeanInterval
        /// Mean paired difference to the first method.
        public let gain: MeanInterval?
        /// The gain in standard deviations of the first method's rewards.
        public let gainInSpreads: Double?
        /// Share of prompts with a higher reward than the first method's; ties count half.
        public let winRate: Double?
        /// Nats; nil when an answer has none, or it is not known what it is.
        public let meanKL: Double?
        /// What `meanKL` is.
        public let meanKLKind: KLKind?
        public let rolloutTokensPerToken: Double
        public let secondsPerToken: Double
    }

    public let rows: [Row]

    public init(_ results: [PromptResult], methods: [String]) {
        let first = results.filter { $0.method == methods[0] }.sorted { $0.prompt < $1.prompt }
        let base = Dictionary(first.map { ($0.question, $0.reward) }, uniquingKeysWith: { left, _ in left })
        let spread = (try? RewardCalibration(of: first.map(\.reward)))?.spread  // equal rewards have none
        rows = methods.map { method in
            let own = results.filter { $0.method == method }.sorted { $0.prompt < $1.prompt }
            let pairs = own.compactMap { result in
                base[result.question].map { (prompt: result.prompt, own: result.reward, base: $0) }
            }
            let isFirst = method == methods[0]
            let gain = isFirst ? nil : MeanInterval(pairs.map { $0.own - $0.base }, clusters: pairs.map(\.prompt))
            let wins = pairs.reduce(0.0) { $0 + ($1.own > $1.base ? 1 : $1.own == $1.base ? 0.5 : 0) }
            let kl = own.compactMap(\.kl)
            let kinds = own.compactMap(\.klKind)
            let hasKL = !own.isEmpty && kl.count == own.count && kinds.count == own.count
            let tokens = Double(max(1, own.reduce(0) { $0 + $1.usage.completionTokens }))
            return Row(
                method: method, prompts: Set(own.map(\.prompt)).count, answers: own.count,
                meanReward: MeanInterval(own.map(\.reward), clusters: own.map(\.prompt)), gain: gain,
                gainInSpreads: gain.flatMap { gain in spread.map { gain.mean / $0 } },
                winRate: isFirst ? nil : wins / Double(max(1, pairs.count)),
                meanKL: hasKL ? kl.reduce(0, +) / Double(kl.count) : nil,
                meanKLKind: hasKL ? kinds.reduce(.divergence) { $0.adding($1) } : nil,
                rolloutTokensPerToken: Double(own.reduce(0) { $0 + $1.usage.rolloutTokens }) / tokens,
                secondsPerToken: own.reduce(0) { $0 + $1.usage.seconds } / tokens)
        }
    }

    public var text: String {
        let head = [
            "method", "prompts", "reward (95 %)", "gain (95 %)", "in SD", "wins", "KL (nats)", "rollout tokens/token",
            "s/token",
        ]
        func number(_ value: Double?, _ digits: Int, _ unit: String = "") -> String {
            value.map { $0.fixed(digits) + unit } ?? "–"
        }
        return TextTable.text(
            [head]
                + rows.map { row in
                    [
                        row.method, "\(row.prompts)", row.meanReward.text, row.gain?.text ?? "–",
                        number(row.gainInSpreads, 2), number(row.winRate.map { 100 * $0 }, 0, " %"),
                        row.meanKL.map { (row.meanKLKind ?? .divergence).cell($0, digits: 1) } ?? "–",
                        number(row.rolloutTokensPerToken, 0),
                        number(row.secondsPerToken, 3),
                    ]
                })
    }
}
