/// One turn of a conversation.
public struct Message: Codable, Hashable, Sendable {
    /// `system`, `user` or `assistant`; a template may know others.
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
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
