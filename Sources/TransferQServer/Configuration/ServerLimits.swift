/// What one request may ask for, and how long it may take.
public struct ServerLimits: Hashable, Sendable {
    /// Longest body of a request, in bytes.
    public var bodyBytes = 1 << 20
    /// Deepest nesting of lists and objects in a body.
    public var depth = 32
    /// Most messages of a conversation, and most texts that one request has scored.
    public var messages = 512
    /// Most choices of one request, all its prompts together.
    public var choices = 16
    /// Longest answer in tokens; who asks for more gets so many, with a notice.
    public var answerTokens = 1024
    /// Longest time of a request in seconds, the wait for a slot included, > 0.
    public var seconds = 600.0
    /// Connections at the same time.
    public var connections = 1024
    /// Seconds without a byte from a client that owes some, after which its connection is closed.
    public var idleSeconds = 60

    public init() {}
}
