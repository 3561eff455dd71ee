public import TransferQ

/// A decoding method by name with the parameters that are given; the others take their defaults.
///
/// JSON: one object with the name beside the parameters.
///
///     {"name": "transfer-q", "k": 10, "alpha": 0.5, "tilt": "baseline"}
public struct MethodSpec: Codable, Hashable, Sendable {
    public let name: String
    /// By their names in the method table.
    public let parameters: [String: ParameterValue]

    /// - Throws: ``TransferQError`` for an unknown method or parameter, or a value outside its range.
    public init(_ name: String, _ parameters: [String: ParameterValue] = [:]) throws {
        _ = try DecodingMethods.make(name, parameters)
        self.name = name
        self.parameters = parameters
    }

    /// The method, with a record of every parameter it runs with.
    public func configured() throws -> ConfiguredMethod { try DecodingMethods.make(name, parameters) }

    public init(from decoder: any Decoder) throws { try self.init(from: decoder, without: []) }

    /// - Parameter others: keys of the object that are none of the method's.
    package init(from decoder: any Decoder, without others: Set<String>) throws {
        let nameKey = NamedKey("name")
        let name = try decoder.container(keyedBy: NamedKey.self).decode(String.self, forKey: nameKey)
        try self.init(name, Self.parameters(from: decoder, without: others.union([nameKey.stringValue])))
    }

    /// The values of an object by their names.
    package static func parameters(
        from decoder: any Decoder, without others: Set<String> = []
    ) throws -> [String: ParameterValue] {
        let container = try decoder.container(keyedBy: NamedKey.self)
        let keys = container.allKeys.filter { !others.contains($0.stringValue) }
        return try Dictionary(uniqueKeysWithValues: keys.map { ($0.stringValue, try value(in: container, at: $0)) })
    }

    /// A whole number, a number, a text, or a switch.
    private static func value(
        in container: KeyedDecodingContainer<NamedKey>, at key: NamedKey
    ) throws -> ParameterValue {
        // A value of another kind is tried as the next one; the last try tells what is wrong.
        if let isOn = try? container.decode(Bool.self, forKey: key) { return .text(isOn ? "on" : "off") }
        if let value = try? container.decode(Int.self, forKey: key) { return .integer(value) }
        if let value = try? container.decode(Double.self, forKey: key) { return .number(value) }
        return .text(try container.decode(String.self, forKey: key))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: NamedKey.self)
        try container.encode(name, forKey: NamedKey("name"))
        for (name, value) in parameters { try container.encode(value, forKey: NamedKey(name)) }
    }
}
