public import TransferQ
public import TransferQRuntime

/// A method of an evaluation: what it runs with, and the name that the tables show it under.
///
/// JSON: an object with the method's name beside its parameters, or the short form, a text.
///
///     {"label": "tilted", "name": "transfer-q", "alpha": 0.5, "tilt": "baseline", "baseline": "dpo", "seeds": [0]}
///     "transfer-q[alpha=0.5,tilt=baseline,baseline=dpo]"
public struct MethodEntry: Hashable, Sendable {
    /// Tells the entry from all others of the evaluation.
    public let label: String
    public let method: MethodSpec
    /// The name of one of the evaluation's baselines; nil for the only one, or for none.
    public let baseline: String?
    /// In place of the evaluation's seeds, for example a single one for a method that draws nothing.
    public let seeds: [UInt64]?

    /// - Parameter label: nil for the method's name with its parameters, as the short form has them.
    public init(_ method: MethodSpec, label: String? = nil, baseline: String? = nil, seeds: [UInt64]? = nil) throws {
        let parameters = method.parameters.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let parts = parameters + (baseline.map { ["baseline=\($0)"] } ?? [])
        self.label = label ?? method.name + (parts.isEmpty ? "" : "[\(parts.joined(separator: ","))]")
        guard !self.label.isEmpty, !self.label.contains(where: \.isNewline) else {
            throw EvaluationError.invalidSpecification("the label of a method must be one line of text, not empty")
        }
        self.method = method
        self.baseline = baseline
        self.seeds = try seeds.map(EvaluationSpec.checkedSeeds)
    }

    /// Reads the short form, `NAME` or `NAME[PARAMETER=VALUE,…]`, whose text becomes the label. `baseline=NAME` stands among
    /// the parameters; what follows a comma and holds no `=` belongs to the value before it.
    ///
    /// - Parameter shared: parameters that it takes where it gives none of its own and the method knows them.
    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` for a text of another form; ``TransferQError`` for an unknown
    ///   method or parameter, or a value outside its range.
    public init(parsing text: String, shared: [String: ParameterValue] = [:]) throws {
        guard let match = text.wholeMatch(of: /\s*([^\[\],\s]+)\s*(?:\[(.*)\])?\s*/) else {
            throw EvaluationError.invalidSpecification(
                "\"\(text)\" is no method; write NAME or NAME[PARAMETER=VALUE,…], for example transfer-q[alpha=0.5]")
        }
        let name = String(match.1)
        var pairs: [(name: String, value: String)] = []
        for piece in (match.2 ?? "").split(separator: ",", omittingEmptySubsequences: true) {
            let parts = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 {
                pairs.append((Self.trimmed(parts[0]), Self.trimmed(parts[1])))
            } else if pairs.isEmpty {
                throw EvaluationError.invalidSpecification(
                    "\"\(text)\" gives \"\(piece)\" without a value; write PARAMETER=VALUE, for example alpha=0.5")
            } else {
                pairs[pairs.count - 1].value += "," + Self.trimmed(piece)
            }
        }
        var parameters: [String: ParameterValue] = [:]
        var baseline: String?
        for (key, value) in pairs {
            guard key == "baseline" ? baseline == nil : parameters[key] == nil else {
                throw EvaluationError.invalidSpecification("\"\(text)\" gives \(key) twice; leave one out")
            }
            if key == "baseline" { baseline = value } else { parameters[key] = Self.value(value) }
        }
        try self.init(
            Self.method(name, parameters, shared: shared), label: text.filter { !$0.isWhitespace }, baseline: baseline)
    }

    /// Several of the short form, split by the commas between them.
    public static func list(_ text: String, shared: [String: ParameterValue] = [:]) throws -> [MethodEntry] {
        var depth = 0
        let parts = text.split { letter in
            if letter == "[" { depth += 1 }
            if letter == "]" { depth -= 1 }
            return letter == "," && depth == 0
        }
        return try parts.map { try MethodEntry(parsing: String($0), shared: shared) }
    }

    /// The method with its own parameters and those of the shared ones that it knows.
    static func method(
        _ name: String, _ parameters: [String: ParameterValue], shared: [String: ParameterValue]
    ) throws -> MethodSpec {
        let known = Set(try DecodingMethods.make(name).parameters.map(\.name))
        let common = shared.filter { known.contains($0.key) }
        return try MethodSpec(name, common.merging(parameters) { $1 })
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.trimmingPrefix(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    private static func value(_ text: String) -> ParameterValue {
        if let value = Int(text) { return .integer(value) }
        if let value = Double(text) { return .number(value) }
        return .text(text == "true" ? "on" : text == "false" ? "off" : text)
    }
}

extension MethodEntry: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable { case label, baseline, seeds }

    public init(from decoder: any Decoder) throws { try self.init(from: decoder, shared: [:]) }

    init(from decoder: any Decoder, shared: [String: ParameterValue]) throws {
        // A value of another kind is an object, or says what is wrong as one.
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            try self.init(parsing: text, shared: shared)
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let own = try MethodSpec(from: decoder, without: Set(CodingKeys.allCases.map(\.rawValue)))
        let (label, baseline) = (
            try container.decodeIfPresent(String.self, forKey: .label),
            try container.decodeIfPresent(String.self, forKey: .baseline)
        )
        // The label does not depend on what all share.
        let plain = try MethodEntry(own, label: label, baseline: baseline)
        try self.init(
            Self.method(own.name, own.parameters, shared: shared), label: plain.label, baseline: baseline,
            seeds: container.decodeIfPresent([UInt64].self, forKey: .seeds))
    }

    public func encode(to encoder: any Encoder) throws {
        try method.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(label, forKey: .label)
        try container.encodeIfPresent(baseline, forKey: .baseline)
        try container.encodeIfPresent(seeds, forKey: .seeds)
    }
}
