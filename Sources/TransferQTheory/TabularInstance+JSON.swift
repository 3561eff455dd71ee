public import Foundation
import TransferQ

extension TabularInstance {
    /// The JSON of docs/mathematics.md section 9.
    private struct Document: Codable {
        var vocabularySize: Int
        var maxLength: Int
        var endToken: Int?
        var reference: [String: [Double]]
        var reward: [String: Double]
        var baselineReward: [String: Double]?
        var prefixReward: [String: Double]?
        var alpha: Double
        var beta: Double
        var bestOf: Int?
    }

    /// Reads an instance.
    ///
    /// - Throws: ``TabularError`` that names the key that is wrong.
    public init(json: Data) throws {
        let document: Document
        do { document = try JSONDecoder().decode(Document.self, from: json) } catch let error as DecodingError {
            throw TabularError.unreadable(Self.sentence(for: error))
        }
        let endToken = try document.endToken.map { id in
            guard let token = Token(exactly: id) else {
                throw TabularError.badNumber(
                    name: "endToken", value: "\(id)", requirement: "a token id below \(document.vocabularySize)")
            }
            return token
        }
        let tree = try ResponseTree(
            vocabularySize: document.vocabularySize, maximumLength: document.maxLength, endToken: endToken)
        let rows = try Self.rows(document.reference, tree: tree)
        func ofResponses(_ table: [String: Double], _ name: String) throws -> [Double] {
            try Self.values(table, keys: tree.responses.map(tabularKey), name: name, tree: tree)
        }
        let prefix = try document.prefixReward.map { table in
            // The empty prefix is never judged, so it may be missing.
            var table = table
            table[""] = table[""] ?? 0
            return try Self.values(table, keys: tree.prefixes.map(tabularKey), name: "prefixReward", tree: tree)
        }
        try self.init(
            tree: tree, logReference: rows,
            rewards: Rewards(
                target: ofResponses(document.reward, "reward"),
                baseline: document.baselineReward.map { try ofResponses($0, "baselineReward") }, prefix: prefix),
            alpha: document.alpha, beta: document.beta, bestOf: document.bestOf)
    }

    /// Writes the instance, keys sorted.
    public func json() throws -> Data {
        func table(_ values: [Double], _ keys: [[Int32]]) -> [String: Double] {
            Dictionary(uniqueKeysWithValues: zip(keys.map(tabularKey), values))
        }
        let document = Document(
            vocabularySize: tree.vocabularySize, maxLength: tree.maximumLength, endToken: tree.endToken.map(Int.init),
            reference: Dictionary(
                uniqueKeysWithValues: zip(tree.prefixes.map(tabularKey), logReference.map { $0.map { exp($0) } })),
            reward: table(reward, tree.responses), baselineReward: baselineReward.map { table($0, tree.responses) },
            prefixReward: prefixReward.map { table(Array($0.dropFirst()), Array(tree.prefixes.dropFirst())) },
            alpha: alpha, beta: beta, bestOf: bestOf)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try encoder.encode(document)
    }

    private static func rows(_ table: [String: [Double]], tree: ResponseTree) throws -> [[Double]] {
        let keys = tree.prefixes.map(tabularKey)
        try refuseStrangers(table.keys, known: keys, name: "reference", tree: tree)
        return try keys.map { key in
            guard let row = table[key] else { throw TabularError.missing(key: key, table: "reference") }
            guard row.count == tree.vocabularySize else {
                throw TabularError.rowLength(key: key, got: row.count, expected: tree.vocabularySize)
            }
            if let bad = row.first(where: { !($0 >= 0 && $0 <= 1 + 1e-9) }) {
                throw TabularError.notProbability(key: key, value: bad)
            }
            let sum = row.reduce(0, +)
            guard abs(sum - 1) <= 1e-6 else { throw TabularError.rowSum(key: key, sum: sum) }
            return row.map { log($0 / sum) }
        }
    }

    private static func values(
        _ table: [String: Double], keys: [String], name: String, tree: ResponseTree
    ) throws -> [Double] {
        try refuseStrangers(table.keys, known: keys, name: name, tree: tree)
        return try keys.map { key in
            guard let value = table[key] else { throw TabularError.missing(key: key, table: name) }
            guard abs(value) <= 1e9 else { throw TabularError.outOfRange(key: key, table: name, value: value) }
            return value
        }
    }

    private static func refuseStrangers(
        _ keys: some Collection<String>, known: [String], name: String, tree: ResponseTree
    ) throws {
        let known = Set(known)
        guard let key = keys.filter({ !known.contains($0) }).min() else { return }
        let tokens = key.isEmpty ? [] : key.split(separator: ",", omittingEmptySubsequences: false).map { Int32($0) }
        guard tokens.allSatisfy({ $0 != nil }), tabularKey(tokens.compactMap { $0 }) == key else {
            throw TabularError.badKey(key: key, table: name)
        }
        let ids = tokens.compactMap { $0 }
        let reason =
            if let id = ids.first(where: { $0 < 0 || $0 >= tree.vocabularySize }) {
                "holds the token \(id) outside the vocabulary"
            } else if ids.count > tree.maximumLength {
                "is longer than maxLength"
            } else if let end = tree.endToken, ids.dropLast().contains(end) {
                "goes on after the end token"
            } else if name == "reward" || name == "baselineReward" {
                "is not a complete response"
            } else {
                "is a complete response, not an unfinished one"
            }
        throw TabularError.impossible(key: key, table: name, reason: reason)
    }

    private static func sentence(for error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? "\"\($0.stringValue)\"" }
            return path.isEmpty ? "the document" : path.joined(separator: " ")
        }
        return switch error {
        case .keyNotFound(let key, _): "the key \"\(key.stringValue)\" is missing; add it"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "\(place(context)) has the wrong kind of value; transferq theory solve --help shows the format"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            "\(place(context)) is out of range, or not a whole number where one is needed"
        case .dataCorrupted(let context):
            "\(place(context)) is not valid JSON, or a number in it does not fit; check it with a JSON tool"
        @unknown default: "\(error)"
        }
    }
}
