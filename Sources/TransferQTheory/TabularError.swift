public import TransferQ

/// What can be wrong with a tabular problem. Every message names the key, and says how to mend it.
public enum TabularError: Error, Equatable, Sendable {
    case noRow([Token])
    case unreadable(String)
    case badKey(key: String, table: String)
    case missing(key: String, table: String)
    case impossible(key: String, table: String, reason: String)
    case rowLength(key: String, got: Int, expected: Int)
    case notProbability(key: String, value: Double)
    case rowSum(key: String, sum: Double)
    case notFinite(key: String, table: String)
    case badNumber(name: String, value: String, requirement: String)
    case tooLarge(responses: Double, limit: Int)
}

extension TabularError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noRow(let response):
            "the table has no row for the response \(response); add one, or do not continue a finished response"
        case .unreadable(let reason):
            "the instance cannot be read: \(reason)"
        case .badKey(let key, let table):
            "\(table) has the key \"\(key)\", which is no list of token ids; write ids joined by commas, as in \"1,2\""
        case .missing(let key, let table):
            "\(table) has no entry for \"\(key)\"; every such response needs one"
        case .impossible(let key, let table, let reason):
            "\(table) has an entry for \"\(key)\", which \(reason); remove it"
        case .rowLength(let key, let got, let expected):
            "reference \"\(key)\" has \(got) probabilities; it needs one for each of \(expected) tokens"
        case .notProbability(let key, let value):
            "reference \"\(key)\" holds \(value); probabilities lie between 0 and 1"
        case .rowSum(let key, let sum):
            "reference \"\(key)\" sums to \(sum); a row must sum to 1"
        case .notFinite(let key, let table):
            "\(table) \"\(key)\" is not a finite number; rewards must be finite"
        case .badNumber(let name, let value, let requirement):
            "\(name) must be \(requirement), not \(value)"
        case .tooLarge(let responses, let limit):
            "the instance has \(responses) responses, and exact solving stops at \(limit); "
                + "lower vocabularySize or maxLength"
        }
    }
}
