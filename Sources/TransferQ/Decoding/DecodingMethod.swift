/// A way to decide the next token or tokens. A method is a value: it holds parameters, never state.
public protocol DecodingMethod: Sendable {
    /// Checks what the parameters alone cannot tell: a missing reward, a k above the vocabulary.
    func validate(vocabularySize: Int, hasReward: Bool) throws

    /// The approximations in use, as they were asked for; none for an exact method.
    var approximations: [String] { get }

    /// What the user should know about these parameters on this task, a sentence each.
    func warnings(for task: DecodingTask) -> [String]

    /// What one step asks of the policy that rolls out; lets a caller size the model's context.
    func demand(maximumLength: Int) -> RolloutDemand

    /// Whether the baseline has a part in it, as far as the parameters tell.
    var usesBaseline: Bool { get }

    /// Chooses what follows `state.response`. `remainingLength` is at least 1.
    func decide(_ state: DecodingState) async throws -> Decision
}

/// A method that a name and parameters describe. To add one, write it in a file of its own and put its type into
/// ``DecodingMethods/table``.
public protocol NamedDecodingMethod: DecodingMethod {
    /// The name on the command line, e.g. `transfer-q`.
    static var name: String { get }
    /// One line of help.
    static var summary: String { get }

    /// Takes and checks the parameters that the method knows.
    init(from parameters: inout ParameterReader) throws
}

extension DecodingMethod {
    public func warnings(for task: DecodingTask) -> [String] { [] }

    public var approximations: [String] { [] }

    public var usesBaseline: Bool { false }
}

/// The table of methods: the only list of them.
public enum DecodingMethods {
    public static let table: [any NamedDecodingMethod.Type] = [
        GreedyDecoding.self,
        SampledDecoding.self,
        BestOfN.self,
        ARGS.self,
        ControlledDecoding.self,
        TransferQDirect.self,
        TransferQIndirect.self,
        TransferQSoft.self,
    ]

    /// Builds a method from its name and the parameters given; the others take their defaults.
    ///
    ///     let method = try DecodingMethods.make("transfer-q", ["k": 10, "alpha": 0.5])
    ///
    /// - Throws: ``TransferQError`` for an unknown method or parameter, or a value outside its range.
    public static func make(_ name: String, _ values: [String: ParameterValue] = [:]) throws -> ConfiguredMethod {
        guard let type = table.first(where: { $0.name == name }) else {
            throw TransferQError.unknownMethod(name: name, known: table.map { $0.name })
        }
        var reader = ParameterReader(values: values)
        let method = try type.init(from: &reader)
        try reader.finish(method: name)
        return ConfiguredMethod(name: name, method: method, parameters: reader.parameters)
    }

    /// Builds several methods from one set of parameters: each takes those that it knows.
    ///
    /// - Throws: ``TransferQError``, also for a parameter that none of them knows.
    public static func make(
        _ names: [String], sharing values: [String: ParameterValue]
    ) throws -> [ConfiguredMethod] {
        var unused = Set(values.keys)
        let methods = try names.map { name in
            let known = try make(name).parameters.map(\.name)
            unused.subtract(known)
            return try make(name, values.filter { known.contains($0.key) })
        }
        if let stranger = unused.sorted().first {
            let known = Set(methods.flatMap { $0.parameters.map(\.name) }).sorted()
            throw TransferQError.unknownParameter(
                method: names.joined(separator: ", "), name: stranger, known: known)
        }
        return methods
    }
}

/// A method with a record of every parameter it runs with.
public struct ConfiguredMethod: Sendable {
    public let name: String
    public let method: any DecodingMethod
    public let parameters: [Parameter]
}
