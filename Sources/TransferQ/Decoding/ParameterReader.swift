/// A parameter's value as it comes from a command line, a request or a literal.
public enum ParameterValue: Hashable, Sendable, CustomStringConvertible {
    case integer(Int)
    case number(Double)
    case text(String)

    public var description: String {
        switch self {
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .text(let value): value
        }
    }
}

extension ParameterValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral {
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .text(value) }
}

extension ParameterValue: Encodable {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        }
    }
}

/// A parameter that a method takes, with the value it runs with.
public struct Parameter: Sendable {
    /// How a value is written.
    public enum Kind: Sendable {
        /// A whole number.
        case integer
        case number
        /// `LOW..HIGH`.
        case range
        case text
        /// `on` or `off`.
        case flag

        /// The value that a text stands for; nil where it is of another kind.
        public func value(of text: String) -> ParameterValue? {
            switch self {
            case .integer: Int(text).map { .integer($0) }
            case .number: Double(text).map { .number($0) }
            case .range, .text, .flag: .text(text)
            }
        }
    }

    public let name: String
    public let kind: Kind
    /// Nil when it is off.
    public let value: ParameterValue?
    /// Completes "NAME must be …".
    public let requirement: String
    /// One line of help.
    public let summary: String
}

/// Hands a method its parameters, checks each against its range once, and remembers them for help and output.
public struct ParameterReader: Sendable {
    private let values: [String: ParameterValue]
    public private(set) var parameters: [Parameter] = []

    public init(values: [String: ParameterValue]) {
        self.values = values
    }

    /// Whether the caller gave the parameter.
    public func isGiven(_ name: String) -> Bool { values[name] != nil }

    /// A whole number within `range`, whose upper end keeps what follows from it within what can be counted and held.
    public mutating func integer(
        _ name: String, default standard: Int, in range: ClosedRange<Int>, _ summary: String
    ) throws -> Int {
        try optionalInteger(name, default: standard, in: range, summary) ?? standard
    }

    public mutating func optionalInteger(
        _ name: String, default standard: Int? = nil, in range: ClosedRange<Int>, _ summary: String
    ) throws -> Int? {
        let least = "a whole number of at least \(range.lowerBound)"
        let requirement = "\(least) and at most \(range.upperBound)"
        var result = standard
        if let given = values[name] {
            guard case .integer(let value) = given, value <= range.upperBound else {
                throw invalid(name, given, requirement)
            }
            guard value >= range.lowerBound else { throw invalid(name, given, least) }
            result = value
        }
        record(name, .integer, result.map { .integer($0) }, requirement, summary)
        return result
    }

    public mutating func number(
        _ name: String, default standard: Double, _ requirement: String, _ summary: String,
        where accepts: (Double) -> Bool
    ) throws -> Double {
        var result = standard
        if let given = values[name] {
            let value: Double? =
                switch given {
                case .number(let value): value
                case .integer(let value): Double(value)
                case .text: nil
                }
            guard let value, value.isFinite, accepts(value) else { throw invalid(name, given, requirement) }
            result = value
        }
        record(name, .number, .number(result), requirement, summary)
        return result
    }

    /// - Parameter standard: how help names the default, when leaving it out does not mean that it is off.
    public mutating func optionalNumber(
        _ name: String, default standard: String? = nil, _ requirement: String, _ summary: String,
        where accepts: (Double) -> Bool
    ) throws -> Double? {
        guard isGiven(name) else {
            record(name, .number, standard.map { .text($0) }, requirement, summary)
            return nil
        }
        return try number(name, default: 0, requirement, summary, where: accepts)
    }

    public mutating func choice<Value: RawRepresentable & CaseIterable>(
        _ name: String, default standard: Value, _ summary: String
    ) throws -> Value where Value.RawValue == String {
        let requirement = "one of " + Value.allCases.map(\.rawValue).joined(separator: ", ")
        var result = standard
        if let given = values[name] {
            guard let value = Value(rawValue: given.description) else { throw invalid(name, given, requirement) }
            result = value
        }
        record(name, .text, .text(result.rawValue), requirement, summary)
        return result
    }

    /// Values split by commas; `all` stands for all of them.
    public mutating func list<Value: RawRepresentable & CaseIterable>(
        _ name: String, _ summary: String
    ) throws -> [Value] where Value.RawValue == String {
        let requirement =
            "all, or some of " + Value.allCases.map(\.rawValue).joined(separator: ", ") + ", split by commas"
        let given = values[name]
        record(name, .text, given, requirement, summary)
        guard let given else { return [] }
        if given.description == "all" { return Array(Value.allCases) }
        return try given.description.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let value = Value(rawValue: part.trimmingPrefix(while: { $0 == " " }).description) else {
                throw invalid(name, given, requirement)
            }
            return value
        }
    }

    /// An interval, written `LOW..HIGH`.
    public mutating func range(_ name: String, _ summary: String) throws -> ClosedRange<Double>? {
        let requirement = "LOW..HIGH with finite numbers, LOW below HIGH, for example -2..2"
        let given = values[name]
        record(name, .range, given, requirement, summary)
        guard let given else { return nil }
        guard let range = ClosedRange(written: given.description) else { throw invalid(name, given, requirement) }
        return range
    }

    /// A switch, off unless it is given.
    public mutating func flag(_ name: String, _ summary: String) throws -> Bool {
        let requirement = "one of on, off"
        let given = values[name] ?? "off"
        guard ["on", "off"].contains(given.description) else { throw invalid(name, given, requirement) }
        record(name, .flag, given, requirement, summary)
        return given.description == "on"
    }

    /// Refuses parameters that the method did not take.
    func finish(method: String) throws {
        let known = parameters.map(\.name)
        if let stranger = values.keys.sorted().first(where: { !known.contains($0) }) {
            throw TransferQError.unknownParameter(method: method, name: stranger, known: known)
        }
    }

    private mutating func record(
        _ name: String, _ kind: Parameter.Kind, _ value: ParameterValue?, _ requirement: String, _ summary: String
    ) {
        parameters.append(
            Parameter(name: name, kind: kind, value: value, requirement: requirement, summary: summary))
    }

    private func invalid(_ name: String, _ value: ParameterValue, _ requirement: String) -> TransferQError {
        .invalidParameter(name: name, value: value.description, requirement: requirement)
    }
}
