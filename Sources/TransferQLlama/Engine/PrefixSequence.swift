import TransferQ

/// The sequence of a policy that stays: the prompt, the response that was asked about last, and maybe a path behind it, with
/// logits and hidden states at some of its tokens.
final class PrefixSequence {
    let lease: SequenceLease
    /// What it holds.
    private(set) var tokens: [Token] = []
    /// Tokens of prompt and response: where rollouts and readings begin.
    private(set) var start = 0
    /// Whether states are kept: from the first time that they are asked for.
    var keepsStates = false

    private let prompt: [Token]
    private let cache: CellCache
    /// Of a state.
    private let width: Int
    /// Logits after the first n tokens, for some n.
    private var rows: [Int: [Float]] = [:]
    /// States of the prompt's last token and those behind it, one after the other, as far as they are known.
    private var states: [Float] = []

    init(lease: SequenceLease, prompt: [Token], context: LlamaContext) {
        self.lease = lease
        self.prompt = prompt
        cache = context.cache
        width = context.model.width
    }

    /// Prompt and response.
    var committed: ArraySlice<Token> { tokens[..<start] }

    /// Whether it holds prompt and response, with the logits behind them.
    func isAtHand(_ response: [Token]) -> Bool {
        rows[prompt.count + response.count] != nil && tokens.starts(with: prompt + response)
    }

    /// The logits after a number of tokens.
    ///
    /// - Throws: ``LlamaError/logitsNotNumeric``.
    func withRow<Result>(at length: Int, _ body: (LogitRow) throws -> Result) throws -> Result {
        try (rows[length] ?? []).withUnsafeBufferPointer { logits in
            let row = LogitRow(logits)
            guard row.logSumExp.isFinite else { throw LlamaError.logitsNotNumeric }
            return try body(row)
        }
    }

    /// The states of the response; nil when they are not kept.
    func pool() -> StatePool? {
        guard keepsStates else { return nil }
        var pool = StatePool(first: states[..<width])
        for place in stride(from: width, to: (start - prompt.count + 1) * width, by: width) {
            pool.add(states[place..<(place + width)])
        }
        return pool
    }

    // MARK: Changes

    /// Turns to prompt, response and path: keeps what agrees, and takes over what a branch has of the rest.
    ///
    /// - Parameter wantsRows: whether the logits after the response and each token of the path are wanted.
    /// - Returns: the tokens behind what is kept that are to be decoded.
    func turn(
        to response: [Token], along path: [Token], wantsRows: Bool, branches: BranchList
    ) -> [Token] {
        let target = prompt + response
        let full = target + path
        start = target.count
        branches.all.removeAll { !$0.tokens.starts(with: target) }
        if keepsStates, firstUnknownState < tokens.count { cut(to: firstUnknownState) }
        adopt(full, of: branches)
        let common = tokens.commonPrefixLength(with: full)
        let missing = (target.count...full.count).first { (wantsRows && rows[$0] == nil) || $0 > common }
        guard let missing else { return [] }
        // Another response, or logits that are not there: keep what agrees, but decode at least one token.
        if tokens.count > min(common, missing - 1) { cut(to: min(common, missing - 1)) }
        return Array(full.dropFirst(tokens.count))
    }

    /// Takes over what a branch has of `full` beyond what is here.
    private func adopt(_ full: [Token], of branches: BranchList) {
        let common = tokens.commonPrefixLength(with: full)
        var best: (branch: BranchList.Branch, length: Int)?
        for branch in branches.all {
            var length = branch.tokens.commonPrefixLength(with: full)
            // Where states are kept, only a token whose state is known.
            if keepsStates {
                guard let known = branch.known, known.length == common + 1, !known.state.isEmpty else { continue }
                length = min(length, known.length)
            }
            if length > max(common, best?.length ?? 0) { best = (branch, length) }
        }
        guard let (branch, length) = best, common >= prompt.count else { return }
        if tokens.count > common { cut(to: common) }
        cache.adopt(common..<length, of: branch.sequence, into: lease)
        tokens += branch.tokens[common..<length]
        if let known = branch.known, known.length > common, known.length <= length {
            rows[known.length] = known.logits
            if keepsStates { states += known.state }
        }
    }

    /// Rows of a batch for tokens that come behind what is here.
    ///
    /// - Parameter isRead: whether what each leads to is wanted, and not only from the response's last token on.
    func entries(of tokens: some Collection<Token>, isRead: Bool) -> [DecodeWork.Entry] {
        let first = self.tokens.count
        return tokens.enumerated().map { offset, token in
            DecodeWork.Entry(
                token: token, position: first + offset, sequence: lease,
                isOutput: isRead || first + offset + 1 >= start)
        }
    }

    /// Takes down what a token leads to.
    ///
    /// - Parameter length: tokens up to it.
    func keep(_ output: DecodeWork.Output, at length: Int) {
        if length >= start { rows[length] = Array(output.logits.logits) }
        if let state = output.state { states += state }
    }

    /// Takes down that tokens are decoded.
    func append(_ tokens: some Sequence<Token>) { self.tokens += tokens }

    /// Forgets logits that no question about the response needs.
    func dropOldRows() { rows = rows.filter { $0.key >= start } }

    /// Whatever part of a batch was decoded behind the first tokens is not to be trusted when it failed.
    func dropDecoded(behind first: Int) {
        cutStates(to: first)
        rows = rows.filter { $0.key <= first }
        cache.trim(lease, from: first)
    }

    /// Where the first token stands, the prompt's last or one behind it, whose state is not known.
    private var firstUnknownState: Int { prompt.count - 1 + states.count / width }

    private func cut(to length: Int) {
        cache.trim(lease, from: length)
        tokens.removeLast(tokens.count - length)
        rows = rows.filter { $0.key <= length }
        cutStates(to: length)
    }

    /// Keeps the states of the first `length` tokens.
    private func cutStates(to length: Int) {
        states = Array(states.prefix(max(0, length - prompt.count + 1) * width))
    }
}

/// What rollouts and readings of a policy left decoded, which is kept only to save work.
final class BranchList: CellKeeper {
    struct Branch {
        /// The tokens that the sequence holds, from the prompt's first on.
        let tokens: [Token]
        let sequence: SequenceLease
        /// Logits, and the state when states are kept, at one of the tokens.
        let known: (length: Int, logits: [Float], state: [Float])?
    }

    var all: [Branch] = []

    func giveUpBranches() { all = [] }
}
