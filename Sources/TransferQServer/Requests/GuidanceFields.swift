import TransferQ
import TransferQRuntime

/// The object `transferq` of a request: what guides its answer, in place of what the preset says.
///
///     {"method": "transfer-q", "alpha": 0.5, "k": 10, "klBudget": 4, "weights": {"kindness": 2}, "trace": true}
///
/// Parameters stand under their names in the method table, hyphens or capitals (`kl-budget`, `klBudget`).
struct GuidanceFields: Decodable, Sendable {
    var method: String?
    /// By their names in the method table.
    var parameters: [String: ParameterValue] = [:]
    /// Seconds, and tokens of the answer and of rollouts together; nil for the preset's.
    var timeBudget: Double?
    var tokenBudget: Int?
    /// Of the preset's rewards, by their names.
    var weights: [String: Double] = [:]
    /// Whether every step is told in full.
    var trace = false

    private static let own = ["method", "timeBudget", "tokenBudget", "weights", "trace"]
    private static let mostWeight = 1e6

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NamedKey.self)
        method = try container.decodeIfPresent(String.self, forKey: NamedKey("method"))
        trace = try container.decodeIfPresent(Bool.self, forKey: NamedKey("trace")) ?? false
        weights = try container.decodeIfPresent([String: Double].self, forKey: NamedKey("weights")) ?? [:]
        if let (name, weight) = weights.sorted(by: { $0.key < $1.key }).first(where: {
            !($0.value.isFinite && abs($0.value) <= Self.mostWeight)
        }) {
            throw APIError.invalid(
                "transferq.weights.\(name.prefix(60)) must be between -1000000 and 1000000, not \(weight)",
                parameter: "transferq.weights")
        }
        timeBudget = try container.decodeIfPresent(Double.self, forKey: NamedKey("timeBudget"))
        tokenBudget = try container.decodeIfPresent(Int.self, forKey: NamedKey("tokenBudget"))
        let absent = try container.allKeys.filter { try container.decodeNil(forKey: $0) }.map(\.stringValue)
        let given = try MethodSpec.parameters(from: decoder, without: Set(Self.own + absent))
        for (name, value) in given {
            let tableName = Self.tableName(name)
            guard parameters.updateValue(value, forKey: tableName) == nil else {
                throw APIError.invalid(
                    "transferq gives \(tableName) twice, in two spellings; leave one out",
                    parameter: "transferq.\(name)")
            }
        }
    }

    /// `kl-budget` for `klBudget`.
    private static func tableName(_ name: String) -> String {
        name.reduce(into: "") { text, letter in
            if letter.isUppercase { text += "-" + letter.lowercased() } else { text.append(letter) }
        }
    }
}
