public import TransferQ
public import TransferQRewards

/// Reads answers in a model for rewards: the conversation and what the answers begin with in common are encoded once
/// and kept, the rest of all answers goes into one batch, and equal beginnings are decoded once.
///
/// Texts are cut into tokens by this model, whatever model wrote them.
@InferenceActor
public final class TextReader: ConversationReader {
    public nonisolated let model: LlamaModel
    nonisolated let template: LinearHead.Template
    private let adapter: LlamaAdapter?
    private let system: String?
    private let threads: Int?
    private var context: LlamaContext?
    private var policy: LlamaPolicy?
    private var lastPrompt: (conversation: [Message], tokens: [Token])?

    /// - Parameters:
    ///   - system: a system prompt that takes the place of the conversation's.
    ///   - threads: one for each processor when nil.
    public init(
        model: LlamaModel, adapter: LlamaAdapter? = nil, system: String? = nil,
        template: LinearHead.Template = .chat, threads: Int? = nil
    ) {
        self.model = model
        self.adapter = adapter
        self.system = system
        self.template = template
        self.threads = threads
    }

    /// Tokens decoded so far.
    public var decodedTokens: Int { spentTokens + (policy?.decodedTokens ?? 0) }
    private var spentTokens = 0

    /// The tokens before an answer.
    ///
    /// - Throws: ``LlamaError`` when the template cannot lay out the conversation.
    public func prompt(for conversation: [Message]) throws -> [Token] {
        if let lastPrompt, lastPrompt.conversation == conversation { return lastPrompt.tokens }
        let tokens: [Token]
        var turns = conversation
        if let system { turns = [Message(role: "system", content: system)] + turns.filter { $0.role != "system" } }
        switch template {
        case .chat:
            // A text by itself answers nothing.
            tokens = try PromptEncoder(model: model).encode(
                turns.isEmpty ? [Message(role: "user", content: ".")] : turns)
        case .dialogue:
            tokens = try PromptEncoder(model: model).encode(raw: turns.dialogue + "\n\nAssistant:")
        }
        lastPrompt = (conversation, tokens)
        return tokens
    }

    /// The tokens of an answer, without an end.
    public func tokens(of text: String) -> [Token] {
        PromptEncoder(model: model).plainTokens(of: template == .dialogue ? " " + text : text)
    }

    public func tokens(of completion: Completion) -> [Token] {
        tokens(of: completion.text) + (completion.isFinished ? model.endToken.map { [$0] } ?? [] : [])
    }

    public func policy(for conversation: [Message], texts: [[Token]]) throws -> any Policy {
        try policy(prompt: try prompt(for: conversation), texts: texts)
    }

    /// log P(yes) − log P(no) as the beginning of an answer to each question.
    func logOdds(of yes: String, over no: String, after questions: [[Message]]) async throws -> [Double] {
        let prompts = try questions.map(prompt)
        let (yes, no) = (tokens(of: yes), tokens(of: no))
        let readings = try await read(wholes: prompts.flatMap { [$0 + yes, $0 + no] }, wantsStates: false)
        return questions.indices.map { readings[2 * $0].logProbability - readings[2 * $0 + 1].logProbability }
    }

    /// Whose states these readings have.
    public func source(for conversation: [Message]) throws -> StateSource {
        model.stateSource(prompt: try prompt(for: conversation), adapter: adapter)
    }

    /// The states of answers to one conversation, in order.
    ///
    /// - Throws: ``LlamaError/promptTooLong(tokens:limit:)`` when one does not fit the model; `CancellationError`.
    public func states(of texts: [String], after conversation: [Message]) async throws -> [PooledState] {
        try states(
            in: try await read(texts.map(tokens), prompt: try prompt(for: conversation), wantsStates: true))
    }

    /// The states at the end of conversations whose last turn, the answer, is closed.
    func endStates(of completions: [Completion]) async throws -> [PooledState] {
        let wholes = try completions.map { completion in
            try PromptEncoder(model: model).encode(
                completion.conversation + [Message(role: "assistant", content: completion.text)], isOpen: false)
        }
        return try states(in: try await read(wholes: wholes, wantsStates: true))
    }

    private func states(in readings: [Reading]) throws -> [PooledState] {
        try readings.map { reading in
            guard let state = reading.state else { throw LlamaError.noStates(model: model.path) }
            return state
        }
    }

    /// Readings of texts with their prompts; only the first token counts as one, which most templates share.
    private func read(wholes: [[Token]], wantsStates: Bool) async throws -> [Reading] {
        var readings: [Reading?] = wholes.map { _ in nil }
        let groups = Dictionary(grouping: wholes.indices.filter { !wholes[$0].isEmpty }) { wholes[$0][0] }
        for (first, indices) in groups.sorted(by: { $0.key < $1.key }) {
            let texts = indices.map { Array(wholes[$0].dropFirst()) }
            let read = try await read(texts, prompt: [first], wantsStates: wantsStates, includesEnds: true)
            for (index, reading) in zip(indices, read) { readings[index] = reading }
        }
        return readings.compactMap { $0 }
    }

    /// Readings of texts after a prompt; the log-probability is that of what the texts do not have in common.
    func read(
        _ texts: [[Token]], prompt: [Token], wantsStates: Bool, includesEnds: Bool = false
    ) async throws -> [Reading] {
        guard let first = texts.first else { return [] }
        let policy = try policy(prompt: prompt, texts: texts)
        let common = texts.commonPrefixLength
        let continuations = texts.map { Continuation(prefix: [], tokens: Array($0.dropFirst(common))) }
        return try await policy.read(
            continuations, after: Array(first.prefix(common)), wantsStates: wantsStates, includesEnds: includesEnds)
    }

    /// The policy that is bound to `prompt`, in a context that holds the longest text; the others take turns if need
    /// be.
    func policy(prompt: [Token], texts: [[Token]]) throws -> LlamaPolicy {
        let longest = texts.map(\.count).max() ?? 0
        let needed = prompt.count + longest + 1
        let limit = model.trainedContextLength
        guard needed <= limit else { throw LlamaError.promptTooLong(tokens: needed, limit: limit) }
        let comfortable = needed + min(texts.reduce(0) { $0 + $1.count }, 2048)
        if let policy, let context, policy.stateSource?.prompt == prompt, context.cells >= needed { return policy }
        spentTokens += policy?.decodedTokens ?? 0
        policy = nil
        if (context?.cells ?? 0) < needed {
            context = nil
            var cells = 1024
            while cells < comfortable { cells *= 2 }
            context = try LlamaContext(
                model: model, adapter: adapter,
                configuration: .init(cells: cells, sequences: Self.sequences, threads: threads, isPrecise: true))
        }
        guard let context else { throw LlamaError.contextRefused(cells: needed, reason: "there is none") }
        let policy = try LlamaPolicy(context: context, prompt: prompt)
        self.policy = policy
        return policy
    }

    private static let sequences = 64
}
