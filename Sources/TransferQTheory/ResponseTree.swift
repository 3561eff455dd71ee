public import TransferQ

/// All prefixes and responses over a vocabulary up to a length: the skeleton that exact computations walk.
///
/// Unfinished prefixes are nodes, numbered so that a node comes after its parent; complete responses are leaves.
public struct ResponseTree: Sendable {
    /// What one token leads to.
    public enum Child: Sendable {
        case node(Int)
        case leaf(Int)
    }

    public let vocabularySize: Int
    public let maximumLength: Int
    public let endToken: Token?
    /// Unfinished prefixes; the first is empty.
    public let prefixes: [[Token]]
    /// Complete responses: ended by the end token, or of the maximum length.
    public let responses: [[Token]]
    /// children[node][token].
    public let children: [[Child]]

    /// Most responses that exact computations take on.
    public static let limit = 1_000_000

    /// - Throws: ``TabularError`` for sizes below 1, an end token outside the vocabulary, or too many responses.
    public init(vocabularySize: Int, maximumLength: Int, endToken: Token?) throws {
        guard vocabularySize >= 1 else {
            throw TabularError.badNumber(
                name: "vocabularySize", value: "\(vocabularySize)", requirement: "at least 1")
        }
        guard maximumLength >= 1 else {
            throw TabularError.badNumber(name: "maxLength", value: "\(maximumLength)", requirement: "at least 1")
        }
        if let endToken, !(0..<Token(clamping: vocabularySize)).contains(endToken) {
            throw TabularError.badNumber(
                name: "endToken", value: "\(endToken)", requirement: "a token id below \(vocabularySize)")
        }
        guard maximumLength <= Self.limit else {
            throw TabularError.badNumber(
                name: "maxLength", value: "\(maximumLength)", requirement: "at most \(Self.limit)")
        }
        // Counted before anything is built: responses, and the tokens that they and their prefixes hold.
        let open = Double(vocabularySize - (endToken == nil ? 0 : 1))
        var nodes = 1.0
        var leaves = 0.0
        var stored = 0.0
        for depth in 1...maximumLength {
            let ended = depth == maximumLength ? nodes * Double(vocabularySize) : (endToken == nil ? 0 : nodes)
            leaves += ended
            nodes *= open
            stored += (ended + nodes) * Double(depth)
            guard max(leaves, nodes) <= Double(Self.limit), stored <= 20 * Double(Self.limit) else {
                throw TabularError.tooLarge(limit: Self.limit)
            }
        }

        var prefixes: [[Token]] = [[]]
        var responses: [[Token]] = []
        var children: [[Child]] = []
        var node = 0
        while node < prefixes.count {
            let prefix = prefixes[node]
            children.append(
                (0..<Token(vocabularySize)).map { token in
                    let next = prefix + [token]
                    if token == endToken || next.count == maximumLength {
                        responses.append(next)
                        return .leaf(responses.count - 1)
                    }
                    prefixes.append(next)
                    return .node(prefixes.count - 1)
                })
            node += 1
        }
        self.vocabularySize = vocabularySize
        self.maximumLength = maximumLength
        self.endToken = endToken
        self.prefixes = prefixes
        self.responses = responses
        self.children = children
    }

    /// From the leaves to the root: at each node `combine(node, values of its children)`.
    ///
    /// - Returns: the value of every node, and of every child of every node.
    func backward(
        leaves: [Double], combine: (_ node: Int, _ children: [Double]) -> Double
    ) -> (nodes: [Double], children: [[Double]]) {
        var nodes = [Double](repeating: 0, count: prefixes.count)
        var all = [[Double]](repeating: [], count: prefixes.count)
        for node in prefixes.indices.reversed() {
            let values = children[node].map { child in
                switch child {
                case .node(let index): nodes[index]
                case .leaf(let index): leaves[index]
                }
            }
            all[node] = values
            nodes[node] = combine(node, values)
        }
        return (nodes, all)
    }

    /// log-probability of reaching every node and every leaf under a policy given by its rows.
    func forward(logRows: [[Double]]) -> (nodes: [Double], leaves: [Double]) {
        var nodes = [Double](repeating: 0, count: prefixes.count)
        var leaves = [Double](repeating: 0, count: responses.count)
        for node in prefixes.indices {
            for (token, child) in children[node].enumerated() {
                let log = nodes[node] + logRows[node][token]
                switch child {
                case .node(let index): nodes[index] = log
                case .leaf(let index): leaves[index] = log
                }
            }
        }
        return (nodes, leaves)
    }
}
