import TransferQ

/// Final hidden states of texts behind one prompt, every token decoded once: what earlier texts began with is kept, as a
/// tree, and a text that goes on from there costs only what is new in it.
///
/// One call at a time.
@InferenceActor
final class StateReader: CellKeeper {
    /// A token that texts come through. The root stands for the prompt's last token.
    private final class Node {
        let token: Token
        /// Tokens from the root to here, the root not counted.
        let depth: Int
        /// The final state here, and the sum of those from the root's first child to here; empty until it is decoded.
        private(set) var state: [Float] = []
        private(set) var sum: [Double] = []
        /// Sequences that hold the cells of all that leads here; one is enough once it is decoded.
        var holders: [SequenceLease]
        var children: [Token: Node] = [:]
        /// The call that a text last came through in, and how many texts of that call did.
        private(set) var call = 0
        private(set) var texts = 0

        init(_ token: Token, depth: Int, holders: [SequenceLease]) {
            self.token = token
            self.depth = depth
            self.holders = holders
        }

        func fill(_ state: [Float], after parent: Node?) {
            self.state = state
            sum =
                parent.map { parent in zip(parent.sum, state).map { $0 + Double($1) } }
                ?? [Double](repeating: 0, count: state.count)
            holders.removeLast(holders.count - 1)
        }

        /// A text comes through, or, without `counting`, will.
        func pass(in call: Int, counting: Bool = true) {
            if call != self.call { (self.call, texts) = (call, 0) }
            texts += counting ? 1 : 0
        }

        /// Keeps what `isKept` says of the tree below; what hangs on something dropped goes with it.
        ///
        /// - Returns: the nodes kept, this one first, parents ahead of their children.
        func prune(_ isKept: (Node) -> Bool) -> [Node] {
            var kept = [self]
            var next = 0
            while next < kept.count {
                let node = kept[next]
                node.children = node.children.filter { isKept($0.value) }
                kept += node.children.values
                next += 1
            }
            return kept
        }

        // Texts are long, and a chain of releases as long would need as deep a stack.
        deinit {
            var open = Array(children.values)
            children = [:]
            while var node = open.popLast() {
                guard isKnownUniquelyReferenced(&node) else { continue }
                open += node.children.values
                node.children = [:]
            }
        }
    }

    let context: LlamaContext
    let prompt: [Token]
    private let source: StateSource
    private var root: Node?
    /// Calls so far.
    private var call = 0
    private var isReading = false
    private(set) var decodedTokens = 0

    init(context: LlamaContext, prompt: [Token]) {
        self.context = context
        self.prompt = prompt
        source = context.model.stateSource(prompt: prompt, adapter: context.adapter)
        context.cache.register(self)
    }

    func dropBranches() {
        if !isReading { root = nil }
    }

    /// The states of texts, in order; of an empty one that of the prompt's last token.
    ///
    /// - Throws: ``LlamaError``, or `CancellationError`.
    func states(of texts: [[Token]]) async throws -> [PooledState] {
        let signal = AbortSignal()
        return try await withTaskCancellationHandler {
            call += 1
            var states: [PooledState] = []
            isReading = true
            defer { isReading = false }
            do {
                while states.count < texts.count {
                    let root = try await readPrompt(signal: signal)
                    let wave = nextWave(of: texts[states.count...], after: root)
                    states += try await read(wave, after: root, signal: signal)
                }
                prune()
            } catch {
                // Whatever part was decoded is not to be trusted.
                root = nil
                throw error
            }
            return states
        } onCancel: {
            signal.raise()
        }
    }

    /// Forgets what will hardly come again: attention goes over all cells that are kept, whoever's they are. What two texts
    /// of a call share is likely the way that the response takes.
    private func prune() {
        guard let root else { return }
        if prune(root, { $0.call == call }) > Self.smallTree { _ = prune(root) { $0.texts > 1 } }
    }

    /// Prunes the tree and gives back the cells of what went.
    ///
    /// - Returns: the number of tokens kept behind the prompt.
    private func prune(_ root: Node, _ isKept: (Node) -> Bool) -> Int {
        let kept = root.prune(isKept)
        for node in kept.reversed() {
            // A child's sequence holds all that leads to it; a leaf's own goes on with what is gone.
            if let child = node.children.values.first {
                node.holders = child.holders
            } else if !context.cache.isTrimmed(node.holders[0], to: prompt.count + node.depth) {
                self.root = nil
            }
        }
        return kept.count - 1
    }

    /// Tokens behind the prompt that are kept in any case.
    private static let smallTree = 128

    private func readPrompt(signal: AbortSignal) async throws -> Node {
        if let root { return root }
        let sequence = try context.cache.lease()
        let entries = prompt.enumerated().map { index, token in
            LlamaContext.Entry(
                token: token, position: index, sequence: sequence, isOutput: index + 1 == prompt.count)
        }
        let root = Node(prompt.last ?? 0, depth: 0, holders: [sequence])
        try await decode(entries, signal: signal) { _, state in root.fill(state, after: nil) }
        self.root = root
        return root
    }

    /// As many texts as there is room for, at least one. Where they do not all fit, what older calls left gives way, and
    /// what others keep where not even one does.
    private func nextWave(of texts: ArraySlice<[Token]>, after root: Node) -> ArraySlice<[Token]> {
        func needed(_ text: [Token]) -> Int { text.count - deepest(on: text, from: root).depth }
        func fits(_ texts: ArraySlice<[Token]>) -> Bool {
            context.cache.hasRoom(sequences: texts.count, cells: texts.reduce(0) { $0 + needed($1) })
        }
        if !fits(texts) {
            for text in texts { visit(text[...], from: root, counting: false) }
            _ = prune(root) { $0.call == call }
        }
        if !fits(texts.prefix(1)) { _ = prune(root) { _ in false } }
        let room = context.cache.room(sequences: 1, cells: texts.first.map(needed) ?? 0)
        var left = room.cells
        let wave = texts.prefix(room.sequences).prefix { text in
            left -= needed(text)
            return left >= 0
        }
        return wave.isEmpty ? texts.prefix(1) : wave
    }

    /// The last node on a text's way that is decoded.
    private func deepest(on text: [Token], from root: Node) -> Node {
        var node = root
        for token in text {
            guard let next = node.children[token], !next.state.isEmpty else { break }
            node = next
        }
        return node
    }

    private func visit(_ text: ArraySlice<Token>, from root: Node, counting: Bool = true) {
        var node = root
        for token in text {
            guard let next = node.children[token] else { return }
            next.pass(in: call, counting: counting)
            node = next
        }
    }

    private func read(_ texts: ArraySlice<[Token]>, after root: Node, signal: AbortSignal) async throws -> [PooledState]
    {
        var ends: [Node] = []
        var fresh: [(node: Node, parent: Node)] = []
        for text in texts {
            var node = deepest(on: text, from: root)
            visit(text.prefix(node.depth), from: root)
            if node.depth < text.count {
                let sequence = try context.cache.fork(node.holders[0], length: prompt.count + node.depth)
                for token in text[node.depth...] {
                    if let known = node.children[token] {
                        known.holders.append(sequence)
                        node = known
                    } else {
                        let next = Node(token, depth: node.depth + 1, holders: [sequence])
                        node.children[token] = next
                        fresh.append((next, node))
                        node = next
                    }
                    node.pass(in: call)
                }
            }
            ends.append(node)
        }
        let entries = fresh.map { node, _ in
            LlamaContext.Entry(
                token: node.token, position: prompt.count + node.depth - 1, sequences: node.holders, isOutput: true)
        }
        try await decode(entries, signal: signal) { index, state in
            fresh[index].node.fill(state, after: fresh[index].parent)
        }
        return ends.map { node in
            let mean = node.depth == 0 ? node.state : node.sum.map { Float($0 / Double(node.depth)) }
            return PooledState(source: source, last: node.state, mean: mean)
        }
    }

    private func decode(
        _ entries: [LlamaContext.Entry], signal: AbortSignal, receive: (Int, [Float]) throws -> Void
    ) async throws {
        guard !entries.isEmpty else { return }
        decodedTokens += entries.count
        try await context.decode(entries, results: .states, signal: signal) { index, output in
            guard let state = output.state else { throw LlamaError.noStates(model: context.model.path) }
            try receive(index, Array(state))
        }
    }
}
