/// One turn of a conversation.
///
/// Equal messages have the same bytes: Swift's `==` takes "é" in one and in two code points for the same text, which a
/// model does not.
public struct Message: Codable, Hashable, Sendable {
    /// `system`, `user` or `assistant`; a template may know others.
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }

    public static func == (one: Message, other: Message) -> Bool {
        one.role.utf8.elementsEqual(other.role.utf8) && one.content.utf8.elementsEqual(other.content.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        // Canonically equal strings hash alike; telling them apart is the work of ==.
        hasher.combine(role)
        hasher.combine(content)
    }
}

extension Noise {
    /// The randomness of answers to one conversation, so that different prompts draw different numbers.
    ///
    /// - Parameters:
    ///   - conversation: every role and every content counts, byte by byte.
    ///   - prompt: what the conversation became for the reference, in tokens, when that is known: the same conversation
    ///     under another template, or as raw text, is another prompt.
    public func derived(conversation: [Message], prompt: [Token] = []) -> Noise {
        // Without either there is one prompt only.
        guard !conversation.isEmpty || !prompt.isEmpty else { return self }
        let keyed = conversation.reduce(derived(conversation.count)) { noise, message in
            noise.derived(text: message.role).derived(text: message.content)
        }
        return prompt.reduce(keyed) { $0.derived(Int($1)) }
    }
}

/// What a reward sees: a conversation and a (possibly unfinished) response to it.
public struct Completion: Hashable, Sendable {
    public var conversation: [Message]

    /// The response as text, without special tokens.
    public var text: String

    /// The response in the policy's tokens.
    public var tokens: [Token]

    /// Whether the response ended by itself rather than at a horizon.
    public var isFinished: Bool

    /// Hidden states that some policy had of this very text; a reward may use them when their source is its own.
    public var state: PooledState?

    public init(
        conversation: [Message], text: String, tokens: [Token], isFinished: Bool, state: PooledState? = nil
    ) {
        self.conversation = conversation
        self.text = text
        self.tokens = tokens
        self.isFinished = isFinished
        self.state = state
    }
}

extension [Completion] {
    /// Works out a number for each completion, conversation by conversation, in the order of their first completions, so
    /// that equal calls do equal work.
    ///
    /// - Parameter work: gets completions of one conversation, and returns as many numbers.
    package func byConversation(_ work: ([Completion]) async throws -> [Double]) async throws -> [Double] {
        var numbers = [Double](repeating: 0, count: count)
        let groups = Dictionary(grouping: indices) { self[$0].conversation }
        for members in groups.values.sorted(by: { $0[0] < $1[0] }) {
            let results = try await work(members.map { self[$0] })
            for (index, number) in zip(members, results) { numbers[index] = number }
        }
        return numbers
    }
}

extension [[Token]] {
    /// Tokens that all begin with; 0 for none.
    package var commonPrefixLength: Int {
        guard let first else { return 0 }
        return dropFirst().reduce(first.count) { length, other in
            Swift.min(length, zip(first, other).prefix { $0 == $1 }.count)
        }
    }
}
