import ArgumentParser
import Foundation
import TransferQ
import TransferQRewards

/// A file of prompts to compare methods on.
struct PromptSetOptions: ParsableArguments {
    @Option(help: "Compare on many prompts: JSON lines with a prompt, or data of prompts with answers.")
    var prompts: String?

    @Option(help: "Use the first so many prompts only.")
    var limit: Int?

    @Option(
        help: """
            Append every answer to this file as a JSON line. A run that was cut goes on where it was, and another run may \
            add methods, prompts and seeds.
            """)
    var output: String?

    @OptionGroup var records: RecordFileOptions

    func validate() throws {
        if let limit, limit < 2 { throw ValidationError("--limit must be at least 2, not \(limit)") }
        if prompts == nil, limit != nil || output != nil || !records.isDefault {
            throw ValidationError("--limit, --output, --skip-broken and --ignore-key go with --prompts FILE")
        }
    }
}

/// One method's answer to one prompt of a set.
struct PromptResult: Codable {
    let prompt: Int
    let method: String
    /// A hash of the conversation. With all else that the answer depends on, it lets a run go on with results of its
    /// own only.
    let conversation: String
    let settings: RunSettings
    /// Nil in files of earlier versions.
    var seed: UInt64?
    let response: String
    let finishReason: FinishReason
    let reward: Double
    let kl: Double?
    /// What `kl` is; nil in files of earlier versions.
    let klKind: KLKind?
    let usage: Usage
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
    init(path: String?, methods: [ConfiguredMethod], settings: RunSettings) throws {
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
    /// - Throws: `UsageError` when it answers something else.
    func contains(prompt: Int, conversation: String, method: String, seed: String?) throws -> Bool {
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
struct PromptSetTable: Encodable {
    struct Row: Encodable {
        let method: String
        let prompts: Int
        /// More than prompts where there are several seeds.
        let answers: Int
        let meanReward: MeanInterval
        /// Mean paired difference to the first method.
        let gain: MeanInterval?
        /// The gain in standard deviations of the first method's rewards.
        let gainInSpreads: Double?
        /// Share of prompts with a higher reward than the first method's; ties count half.
        let winRate: Double?
        /// Nats; nil when an answer has none, or it is not known what it is.
        let meanKL: Double?
        /// What `meanKL` is.
        let meanKLKind: KLKind?
        let rolloutTokensPerToken: Double
        let secondsPerToken: Double
    }

    let rows: [Row]

    init(_ results: [PromptResult], methods: [String]) {
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

    var text: String {
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
