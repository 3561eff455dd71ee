public import TransferQ
public import TransferQRewards

/// Reads answers in a model for rewards: conversations and what answers begin with are decoded once and kept, as long as
/// there is room, and what is new goes into one batch.
///
/// Texts are cut into tokens by this model, whatever model wrote them. Calls for hidden states take turns in a lane, whatever
/// they are about; what they read is wide enough by itself.
public actor TextReader: ConversationReader {
    public nonisolated let model: LlamaModel
    nonisolated let template: LinearHead.Template
    public nonisolated var files: [String] { model.files + (adapter.map { [$0.path] } ?? []) }
    private nonisolated let adapter: LlamaAdapter?
    private let system: String?
    private let threads: Int?
    /// By lane, so that answers of several lanes need not wait for each other.
    private var readers: [OfLane] = []
    private var prompts: [[Message]: [Token]] = [:]

    private struct OfLane {
        /// Nil when nobody computes in it any more.
        weak var lane: InferenceLane?
        let reader: LaneReader
    }

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

    /// Decoded by readers that are given up.
    private var spentTokens = 0

    /// Tokens decoded so far.
    public var decodedTokens: Int {
        get async {
            let (readers, spent) = (readers, spentTokens)
            var tokens = spent
            for one in readers { tokens += await one.reader.decodedTokens }
            return tokens
        }
    }

    /// Contexts that it reads in: one for each lane that is still there.
    public var contextCount: Int {
        get async {
            await giveUpReaders { $0 == nil }
            return readers.count
        }
    }

    /// Gives up what earlier calls left to save work, and the contexts of other lanes.
    public func forget() async {
        let own = InferenceLane.current
        await giveUpReaders { $0 !== own }
        for one in readers { await one.reader.forget() }
    }

    /// The current lane's reader.
    private func reader() async -> LaneReader {
        let lane = InferenceLane.current
        if let known = readers.first(where: { $0.lane === lane }) { return known.reader }
        let reader = LaneReader(model: model, adapter: adapter, threads: threads, lane: lane)
        readers.append(OfLane(lane: lane, reader: reader))
        // A context goes with its lane.
        await giveUpReaders { $0 == nil }
        return reader
    }

    private func giveUpReaders(_ isGone: (InferenceLane?) -> Bool) async {
        let gone = readers.filter { isGone($0.lane) }
        readers.removeAll { isGone($0.lane) }
        for one in gone { spentTokens += await one.reader.decodedTokens }
    }

    /// The tokens before an answer.
    ///
    /// - Throws: ``LlamaError`` when the template cannot lay out the conversation.
    public func prompt(for conversation: [Message]) throws -> [Token] {
        if let known = prompts[conversation] { return known }
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
        if prompts.count >= Self.keptPrompts { prompts = [:] }
        prompts[conversation] = tokens
        return tokens
    }

    /// How conversations are laid out here; nil for plain dialogues, which no template decides.
    ///
    /// - Throws: ``LlamaError`` when the template cannot lay out a question.
    public func layoutFingerprint() throws -> String? {
        template == .chat ? try model.layoutFingerprint() : nil
    }

    /// The tokens of an answer, without an end.
    public func tokens(of text: String) -> [Token] {
        model.tokenizer.tokens(of: template == .dialogue ? " " + text : text)
    }

    /// The tokens of an answer. A finished one ends with the token that ended it, where it was written in this
    /// vocabulary, else with the one that the model's template closes a turn with.
    public func tokens(of completion: Completion) -> [Token] {
        guard completion.isFinished else { return tokens(of: completion.text) }
        return tokens(of: completion.text) + ((writtenEnd(of: completion) ?? model.endToken).map { [$0] } ?? [])
    }

    /// The end token that an answer came with; nil when its tokens are missing or another vocabulary's.
    private func writtenEnd(of completion: Completion) -> Token? {
        guard let end = completion.tokens.last, model.tokenizer.isEnd(end),
            model.tokenizer.text(of: completion.tokens.dropLast()) == completion.text
        else { return nil }
        return end
    }

    public func policy(for conversation: [Message], texts: [[Token]]) async throws -> any Policy {
        try await reader().policy(prompt: try prompt(for: conversation), texts: texts)
    }

    /// log P(yes) − log P(no) as the beginning of an answer to each question.
    func logOdds(of yes: String, over no: String, after questions: [[Message]]) async throws -> [Double] {
        let prompts = try questions.map(prompt)
        let (yes, no) = (tokens(of: yes), tokens(of: no))
        // Only the first token counts as a prompt, which most templates share.
        let logs = try await byFirstToken(prompts.flatMap { [$0 + yes, $0 + no] }) { first, texts in
            let policy = try await reader().policy(prompt: [first], texts: texts)
            let common = texts.commonPrefixLength
            let continuations = texts.map { Continuation(prefix: [], tokens: Array($0.dropFirst(common))) }
            return try await policy.score(continuations, after: Array(texts[0].prefix(common)))
        }
        return questions.indices.map { logs[2 * $0] - logs[2 * $0 + 1] }
    }

    /// Whose states these readings have.
    public func source(for conversation: [Message]) throws -> StateSource {
        model.stateSource(prompt: try prompt(for: conversation), adapter: adapter)
    }

    /// The states of answers to one conversation, in order.
    ///
    /// - Throws: ``LlamaError/promptTooLong(tokens:limit:)`` when one does not fit the model; `CancellationError`.
    public func states(of texts: [String], after conversation: [Message]) async throws -> [PooledState] {
        try await states(of: texts.map(tokens), prompt: try prompt(for: conversation))
    }

    /// The states at the end of conversations whose last turn, the answer, is closed.
    func endStates(of completions: [Completion]) async throws -> [PooledState] {
        let wholes = try completions.map { completion in
            try PromptEncoder(model: model).encode(
                completion.conversation + [Message(role: "assistant", content: completion.text)], isOpen: false)
        }
        return try await byFirstToken(wholes) { try await states(of: $1, prompt: [$0]) }
    }

    /// What `work` makes of texts without their first token, which is given apart; in the order of the texts.
    private func byFirstToken<Result>(
        _ texts: [[Token]], work: (Token, [[Token]]) async throws -> [Result]
    ) async throws -> [Result] {
        var results: [Result?] = texts.map { _ in nil }
        let groups = Dictionary(grouping: texts.indices.filter { !texts[$0].isEmpty }) { texts[$0][0] }
        for (first, indices) in groups.sorted(by: { $0.key < $1.key }) {
            let made = try await work(first, indices.map { Array(texts[$0].dropFirst()) })
            for (index, result) in zip(indices, made) { results[index] = result }
        }
        return results.compactMap { $0 }
    }

    /// The states of texts in this model's tokens after a prompt in its tokens, in order.
    ///
    /// - Throws: as ``states(of:after:)``.
    public func states(of texts: [[Token]], prompt: [Token]) async throws -> [PooledState] {
        try await reader().states(of: texts, prompt: prompt)
    }

    private static let keptPrompts = 16
}
