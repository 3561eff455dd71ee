import TransferQ

/// Final hidden states of texts behind one prompt, every token decoded once: what earlier texts began with is kept, as a
/// tree, and a text that goes on from there costs only what is new in it.
///
/// One call at a time, on the context's thread.
final class StateReader: CellKeeper {
    /// What is known at a token that texts come through; at the root, at the prompt's last token.
    private struct Place {
        /// The final state here, and the sum of those from the root's first child to here; empty until it is decoded.
        private(set) var state: [Float] = []
        private(set) var sum: [Double] = []
        /// Sequences that hold the cells of all that leads here; one is enough once it is decoded.
        var holders: [SequenceLease]
        /// The call that a text last came through in, and how many texts of that call did.
        private(set) var call = 0
        private(set) var texts = 0

        init(holders: [SequenceLease] = []) { self.holders = holders }

        var isDecoded: Bool { !state.isEmpty }

        mutating func fill(_ state: [Float], after parent: Place?) {
            self.state = state
            sum =
                parent.map { parent in zip(parent.sum, state).map { $0 + Double($1) } }
                ?? [Double](repeating: 0, count: state.count)
            holders.removeLast(holders.count - 1)
        }

        /// A text comes through, or, without `counting`, will.
        mutating func pass(in call: Int, counting: Bool = true) {
            if call != self.call { (self.call, texts) = (call, 0) }
            texts += counting ? 1 : 0
        }
    }

    private typealias Tree = PrefixTree<Place>

    let context: LlamaContext
    let prompt: [Token]
    private let source: StateSource
    /// Nil until the prompt is decoded.
    private var tree: Tree?
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

    func giveUpBranches() {
        if !isReading { tree = nil }
    }

    /// The states of texts, in order; of an empty one that of the prompt's last token.
    ///
    /// - Parameter signal: stops it.
    /// - Throws: ``LlamaError``, or `CancellationError` when the signal is raised.
    nonisolated(nonsending) func states(of texts: [[Token]], signal: AbortSignal) async throws -> [PooledState] {
        call += 1
        var states: [PooledState] = []
        isReading = true
        defer { isReading = false }
        do {
            while states.count < texts.count {
                let tree = try await readPrompt(signal: signal)
                let wave = nextWave(of: texts[states.count...], in: tree)
                states += try await read(wave, in: tree, signal: signal)
            }
            prune()
        } catch {
            // Whatever part was decoded is not to be trusted.
            tree = nil
            throw error
        }
        return states
    }

    /// Forgets what will hardly come again: attention goes over all cells that are kept, whoever's they are. What two texts
    /// of a call share is likely the way that the response takes.
    private func prune() {
        guard let tree else { return }
        if prune(tree, { $0.call == call }) > Self.smallTree { _ = prune(tree) { $0.texts > 1 } }
    }

    /// Prunes the tree and gives back the cells of what went.
    ///
    /// - Returns: the number of tokens kept behind the prompt.
    private func prune(_ tree: Tree, _ isKept: (Place) -> Bool) -> Int {
        let kept = tree.prune { isKept($0.value) }
        for node in kept.reversed() {
            // A child's sequence holds all that leads to it; a leaf's own goes on with what is gone.
            if let child = node.children.values.first {
                node.value.holders = child.value.holders
            } else {
                context.cache.trim(node.value.holders[0], from: prompt.count + node.depth)
            }
        }
        return kept.count - 1
    }

    /// Tokens behind the prompt that are kept in any case.
    private static let smallTree = 128

    private nonisolated(nonsending) func readPrompt(signal: AbortSignal) async throws -> Tree {
        if let tree { return tree }
        let sequence = try context.cache.lease()
        let entries = prompt.enumerated().map { index, token in
            DecodeWork.Entry(
                token: token, position: index, sequence: sequence, isOutput: index + 1 == prompt.count)
        }
        let tree = Tree(root: Place(holders: [sequence]))
        try await decode(entries, signal: signal) { _, state in tree.root.value.fill(state, after: nil) }
        self.tree = tree
        return tree
    }

    /// As many texts as there is room for, at least one. Where they do not all fit, what older calls left gives way, and
    /// what others keep where not even one does.
    private func nextWave(of texts: ArraySlice<[Token]>, in tree: Tree) -> ArraySlice<[Token]> {
        func needed(_ text: [Token]) -> Int { text.count - decoded(of: text, in: tree).count }
        func fits(_ texts: ArraySlice<[Token]>) -> Bool {
            context.cache.hasRoom(sequences: texts.count, cells: texts.reduce(0) { $0 + needed($1) })
        }
        if !fits(texts) {
            for text in texts {
                for node in tree.path(of: text) { node.value.pass(in: call, counting: false) }
            }
            _ = prune(tree) { $0.call == call }
        }
        if !fits(texts.prefix(1)) { _ = prune(tree) { _ in false } }
        let room = context.cache.room(sequences: 1, cells: texts.first.map(needed) ?? 0)
        var left = room.cells
        let wave = texts.prefix(room.sequences).prefix { text in
            left -= needed(text)
            return left >= 0
        }
        return wave.isEmpty ? texts.prefix(1) : wave
    }

    /// The nodes on a text's way that are decoded.
    private func decoded(of text: [Token], in tree: Tree) -> ArraySlice<Tree.Node> {
        tree.path(of: text).prefix { $0.value.isDecoded }
    }

    private nonisolated(nonsending) func read(
        _ texts: ArraySlice<[Token]>, in tree: Tree, signal: AbortSignal
    ) async throws -> [PooledState] {
        var ends: [Tree.Node] = []
        var fresh: [Tree.Node] = []
        for text in texts {
            let known = decoded(of: text, in: tree)
            let end = known.last ?? tree.root
            if known.count < text.count {
                let sequence = try context.cache.fork(end.value.holders[0], length: prompt.count + known.count)
                for node in tree.insert(text, value: { Place() }).dropFirst(known.count) {
                    if node.value.holders.isEmpty { fresh.append(node) }
                    node.value.holders.append(sequence)
                }
            }
            let path = tree.path(of: text)
            for node in path { node.value.pass(in: call) }
            ends.append(path.last ?? tree.root)
        }
        let entries = fresh.map { node in
            DecodeWork.Entry(
                token: node.token, position: prompt.count + node.depth - 1, sequences: node.value.holders,
                isOutput: true)
        }
        try await decode(entries, signal: signal) { index, state in
            fresh[index].value.fill(state, after: fresh[index].parent?.value)
        }
        return ends.map { node in
            let place = node.value
            let mean = node.depth == 0 ? place.state : place.sum.map { Float($0 / Double(node.depth)) }
            return PooledState(source: source, last: place.state, mean: mean)
        }
    }

    private nonisolated(nonsending) func decode(
        _ entries: [DecodeWork.Entry], signal: AbortSignal, receive: @escaping (Int, [Float]) throws -> Void
    ) async throws {
        guard !entries.isEmpty else { return }
        decodedTokens += entries.count
        let model = context.model
        try await context.queue.decode(entries, results: .states, signal: signal) { index, output in
            guard let state = output.state else { throw LlamaError.noStates(model: model.path) }
            try receive(index, Array(state))
        }
    }
}
