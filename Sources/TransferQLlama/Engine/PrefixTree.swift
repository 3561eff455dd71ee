import TransferQ

/// Texts by their beginnings: what several texts begin with is there once.
///
/// A node is a token with all that stands before it, and a value about it. The root stands for what all texts follow.
final class PrefixTree<Value> {
    final class Node {
        /// Meaningless at the root.
        let token: Token
        /// Tokens from the root to here, the root not counted.
        let depth: Int
        /// Nil at the root, and where the tree is gone.
        private(set) weak var parent: Node?
        fileprivate(set) var children: [Token: Node] = [:]
        var value: Value

        fileprivate init(_ token: Token, parent: Node?, value: Value) {
            self.token = token
            self.parent = parent
            self.value = value
            depth = parent.map { $0.depth + 1 } ?? 0
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

    let root: Node

    init(root: Value) { self.root = Node(0, parent: nil, value: root) }

    /// The nodes of a text's tokens as far as they are there, the root left out.
    func path(of text: some Sequence<Token>) -> [Node] {
        var (path, node): ([Node], Node) = ([], root)
        for token in text {
            guard let next = node.children[token] else { break }
            path.append(next)
            node = next
        }
        return path
    }

    /// The nodes of all of a text's tokens, the root left out.
    ///
    /// - Parameter value: makes that of a node which is not there yet.
    func insert(_ text: some Sequence<Token>, value: () -> Value) -> [Node] {
        var (path, node): ([Node], Node) = ([], root)
        for token in text {
            let next = node.children[token] ?? Node(token, parent: node, value: value())
            node.children[token] = next
            path.append(next)
            node = next
        }
        return path
    }

    /// Keeps what `isKept` says; what follows something dropped goes with it.
    ///
    /// - Returns: the nodes kept, the root first, parents ahead of their children.
    func prune(_ isKept: (Node) -> Bool) -> [Node] {
        var kept = [root]
        var next = 0
        while next < kept.count {
            let node = kept[next]
            node.children = node.children.filter { isKept($0.value) }
            kept += node.children.values
            next += 1
        }
        return kept
    }
}

extension PrefixTree where Value == [Int] {
    /// The tokens that several texts need decoded, each shared beginning once, in the order of the texts.
    ///
    /// - Parameter held: how many tokens of each text need not be, as a sequence holds them already.
    /// - Returns: nodes whose values are the numbers of the texts that need them.
    static func union(of texts: [some Collection<Token>], behind held: [Int]) -> [Node] {
        let tree = PrefixTree(root: [])
        var needed: [Node] = []
        for (number, text) in texts.enumerated() {
            for node in tree.insert(text, value: { [] }).dropFirst(held[number]) {
                if node.value.isEmpty { needed.append(node) }
                node.value.append(number)
            }
        }
        return needed
    }
}
