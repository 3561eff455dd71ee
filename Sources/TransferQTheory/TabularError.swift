public import TransferQ

/// What can be wrong with a tabular problem. Every message names the key, and says how to mend it.
public enum TabularError: Error, Equatable, Sendable {
    case noRow([Token])
    case noToken(Token, size: Int)
    case noWord(text: String, size: Int)
    case unreadable(String)
    case badKey(key: String, table: String)
    case missing(key: String, table: String)
    case impossible(key: String, table: String, reason: String)
    case rowLength(key: String, got: Int, expected: Int)
    case notProbability(key: String, value: Double)
    case rowSum(key: String, sum: Double)
    case outOfRange(key: String, table: String, value: Double)
    case badNumber(name: String, value: String, requirement: String)
    case tooLarge(limit: Int)
}

extension TabularError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noRow(let response):
            "the table has no row for the response \(response); add one, or do not continue a finished response"
        case .noToken(let token, let size):
            "the table has no token \(token), only 0 to \(size - 1); ask about tokens of its own vocabulary"
        case .noWord(let text, let size):
            "the text \"\(text.prefix(40))\" does not begin with a word of the table; its words are the numbers 0 to "
                + "\(size - 1), with a blank behind each, as in \"2 0 1 \""
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
        case .outOfRange(let key, let table, let value):
            "\(table) \"\(key)\" is \(value); rewards must lie between -1e9 and 1e9"
        case .badNumber(let name, let value, let requirement):
            "\(name) must be \(requirement), not \(value)"
        case .tooLarge(let limit):
            "the instance has more than \(limit) responses, or \(20 * limit) tokens in them, where exact solving stops; "
                + "lower vocabularySize or maxLength"
        }
    }
}
