import TransferQ

/// Tokens that somebody wants decoded, and what came of it.
final class DecodeWork {
    /// One row of a batch.
    struct Entry {
        let token: Token
        let position: Int
        /// Those that the token belongs to: more than one where they begin alike. The first owns the cell.
        let sequences: [SequenceLease]
        /// Whether what the token leads to is handed out.
        let isOutput: Bool

        init(token: Token, position: Int, sequences: [SequenceLease], isOutput: Bool) {
            self.token = token
            self.position = position
            self.sequences = sequences
            self.isOutput = isOutput
        }

        init(token: Token, position: Int, sequence: SequenceLease, isOutput: Bool) {
            self.init(token: token, position: position, sequences: [sequence], isOutput: isOutput)
        }
    }

    /// What is wanted of decoded tokens. Of states alone, the tokens' logits, a fifth of a small model's work, are not
    /// computed.
    struct Results: OptionSet {
        let rawValue: Int
        static let logits = Results(rawValue: 1)
        static let states = Results(rawValue: 2)

        static func logits(andStates: Bool) -> Results { andStates ? [.logits, .states] : .logits }
    }

    /// What a decoded token leads to; valid while it is handed out.
    struct Output {
        /// Empty when they were not asked for.
        let logits: LogitRow
        /// The final hidden state; nil when it was not asked for.
        let state: UnsafeBufferPointer<Float>?
    }

    let entries: ArraySlice<Entry>
    let results: Results
    /// Whether it goes along with a batch that is decoded for others.
    private(set) var isAnnounced = false
    /// Nil until it has been in a batch. After an error the sequences may hold any part of the entries: trim them or let them
    /// go.
    private(set) var outcome: Result<Void, any Error>?
    private var receive: ((Int, Output) throws -> Void)?

    /// - Parameters:
    ///   - results: with hidden states llama.cpp works out all tokens to the end, not only those that are put out.
    ///   - receive: called with the index of an entry and its output, which is valid during the call; on the context's
    ///     thread, when the batch is decoded.
    init(_ entries: ArraySlice<Entry>, results: Results, receive: @escaping (Int, Output) throws -> Void) {
        self.entries = entries
        self.results = results
        self.receive = receive
    }

    /// Marks it as work that nobody waits for yet.
    func markAnnounced() { isAnnounced = true }

    /// Takes down what came of it, once.
    ///
    /// - Parameter output: of an entry, by its index.
    func finish(_ result: Result<Void, any Error>, output: (Int) throws -> Output) {
        outcome = Result {
            try result.get()
            for index in entries.indices where entries[index].isOutput { try receive?(index, try output(index)) }
        }
        receive = nil
    }
}
