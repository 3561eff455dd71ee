/// A language model that can be bound to any conversation and cuts texts into its own tokens.
public protocol ConversationReader: Sendable {
    /// A policy for answers to `conversation`, with room for `texts`.
    func policy(for conversation: [Message], texts: [[Token]]) async throws -> any Policy

    /// The tokens of a response; an end token comes last when it is finished.
    func tokens(of completion: Completion) async throws -> [Token]

    /// Paths of the files that the model was loaded from, adapters included; empty for a model without files.
    var files: [String] { get }
}

extension ConversationReader {
    public var files: [String] { [] }
}

/// r(x, y) = β·(log ρ_a(y|x) − log ρ_b(y|x)): what a was aligned with, if it was aligned from b with penalty β, up to a
/// term of x alone (Rafailov et al., arXiv 2305.18290; docs/mathematics.md section 4).
///
/// The two policies may have different weights, prompts and vocabularies. Per token, each log-probability is divided by
/// the number of its own tokens.
public struct ImplicitReward: RewardModel {
    public let name: String
    let aligned: any ConversationReader
    let base: any ConversationReader
    /// β > 0, in reward per nat.
    let beta: Double
    let isPerToken: Bool
    /// The files of both policies, and the one that the reward was described in, if any.
    public let files: [String]
    private let known = (KnownPrefix(), KnownPrefix())

    /// - Parameter files: what the reward was described in, besides the files of the policies.
    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)`` for a β that is not above 0.
    public init(
        name: String, aligned: any ConversationReader, base: any ConversationReader, beta: Double = 1,
        isPerToken: Bool = false, files: [String] = []
    ) throws {
        guard beta > 0, beta.isFinite else {
            throw TransferQError.invalidParameter(
                name: "beta", value: "\(beta)", requirement: "a finite number above 0")
        }
        self.name = name
        self.aligned = aligned
        self.base = base
        self.beta = beta
        self.isPerToken = isPerToken
        self.files = files + aligned.files + base.files
    }

    public var range: ClosedRange<Double>? { nil }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        try await completions.byConversation { group in
            let left = try await logProbabilities(of: group, by: aligned, known: known.0)
            let right = try await logProbabilities(of: group, by: base, known: known.1)
            return zip(left, right).map { beta * ($0 - $1) }
        }
    }

    /// log ρ(y|x) of completions of one conversation, per token if so asked.
    private func logProbabilities(
        of completions: [Completion], by reader: any ConversationReader, known: KnownPrefix
    ) async throws -> [Double] {
        var texts: [[Token]] = []
        for completion in completions { texts.append(try await reader.tokens(of: completion)) }
        let source = try await reader.policy(for: completions[0].conversation, texts: texts)
        let role = "the \(known === self.known.0 ? "aligned" : "base") model of the reward \(name)"
        let policy = CheckedPolicy(source, role: role)
        // An end token must not become a part of the response that the rest is read after.
        let common = max(0, min(texts.commonPrefixLength, (texts.map(\.count).min() ?? 0) - 1))
        let shared = Array(texts[0].prefix(common))
        let start = await known.get(source, atMost: shared)
        // In one pass: what the texts have in common beyond what is known, and each text behind it. A single common token
        // is a prefix, which the policy keeps for the next call.
        let gap = Array(shared.dropFirst(start.tokens.count))
        let prefix = gap.count == 1 ? gap : []
        let whole = Continuation(prefix: [], tokens: gap)
        let rest = texts.map { text in
            Continuation(prefix: prefix, tokens: Array(text.dropFirst(start.tokens.count + prefix.count)))
        }
        let scores = try await policy.score([whole] + rest, after: start.tokens)
        let sum = start.logProbability + scores[0]
        await known.set(source, tokens: shared, logProbability: sum)
        let before = prefix.isEmpty ? start.logProbability : sum
        return zip(scores.dropFirst(), texts).map { score, text in
            (before + score) / (isPerToken ? Double(max(1, text.count)) : 1)
        }
    }
}

/// The log-probability of the beginning that the last texts had in common, for each policy that reads them: what one is asked
/// never depends on what another has read meanwhile.
private actor KnownPrefix {
    private struct Entry {
        weak var policy: (any Policy)?
        let tokens: [Token]
        let logProbability: Double
    }

    private var entries: [Entry] = []

    /// What is known, when it is a beginning of `shared`; the empty one otherwise.
    func get(_ policy: any Policy, atMost shared: [Token]) -> (tokens: [Token], logProbability: Double) {
        guard let entry = entries.first(where: { $0.policy === policy }), shared.starts(with: entry.tokens)
        else { return ([], 0) }
        return (entry.tokens, entry.logProbability)
    }

    func set(_ policy: any Policy, tokens: [Token], logProbability: Double) {
        entries.removeAll { $0.policy == nil || $0.policy === policy }
        entries.append(Entry(policy: policy, tokens: tokens, logProbability: logProbability))
    }
}
