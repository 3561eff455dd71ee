package import TransferQ

/// What a ``LlamaContext`` asks of llama.cpp: calls that compute a batch, and a cache of cells that sequences share.
///
/// ``ContextHandle`` is the one that users get. Tests put another in its place, which computes nothing and checks every call.
package protocol ContextBackend: AnyObject, Sendable {
    /// Most tokens that all sequences can hold together.
    var cells: Int { get }
    /// What a call looks at while it computes.
    var graphSwitch: GraphSwitch { get }

    /// Lays out one row of the next call.
    func set(_ row: Int, to entry: BackendRow)
    /// Whether the next call works out hidden states.
    func setWantsStates(_ wantsStates: Bool)
    /// Computes the first so many rows, nothing for none; takes long, and the thread with it.
    ///
    /// - Parameter threads: as many as before when nil.
    func decode(_ rows: Int32, threads: Int?) -> DecodeOutcome
    /// The logits of a row of the last call; nil when it has none.
    func logits(at row: Int32) -> UnsafePointer<Float>?
    /// The final hidden state of a row of the last call; nil when it has none.
    func state(at row: Int32) -> UnsafePointer<Float>?

    /// Lets a sequence share the cells that another has at some positions.
    func copy(_ positions: Range<Int32>, of source: Int32, to target: Int32)
    /// Empties all sequences, none of which is in use.
    func clear()
    /// Takes from a sequence what it holds from a position on.
    func remove(_ sequence: Int32, from position: Int32)
}

/// One token of a call.
package struct BackendRow: Sendable {
    package let token: Token
    package let position: Int32
    /// Those that the token belongs to.
    package let sequences: [Int32]
    /// Whether what it leads to is wanted.
    package let isOutput: Bool
}

/// What a call came to.
package struct DecodeOutcome: Sendable {
    /// Zero when all went well, 1 when there was no room, 2 when the call was stopped.
    package let code: Int32
    /// What llama.cpp said of a failure.
    package let complaint: String

    package init(code: Int32, complaint: String = "") {
        self.code = code
        self.complaint = complaint
    }
}
