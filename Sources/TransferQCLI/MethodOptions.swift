import ArgumentParser
import TransferQ

/// How to decode: an option for every parameter in the method table. A parameter belongs to some methods and is refused by
/// the others; `transferq methods` lists them.
struct MethodOptions: ParsableArguments, CustomReflectable {
    /// The parameters given, by their names in the method table.
    let values: [String: ParameterValue]

    /// All parameters, each once, in the order of the table.
    private static let parameters: [Parameter] = {
        var names: Set<String> = []
        // The defaults of a method are within their ranges; a test makes every method of them.
        let all = DecodingMethods.table.flatMap { (try? DecodingMethods.make($0.name).parameters) ?? [] }
        return all.filter { names.insert($0.name).inserted }
    }()

    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init() { values = [:] }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        var values: [String: ParameterValue] = [:]
        for parameter in Self.parameters {
            let key = Key(stringValue: parameter.name)
            if parameter.kind == .flag {
                values[parameter.name] = try container.decode(Flag<Bool>.self, forKey: key).wrappedValue ? "on" : nil
            } else {
                values[parameter.name] = try container.decode(Option<ParameterValue?>.self, forKey: key).wrappedValue
            }
        }
        self.values = values
    }

    /// The parser learns of options from the property wrappers among a value's children, whose labels begin with `_`.
    var customMirror: Mirror {
        Mirror(self, children: Self.parameters.map { (label: "_" + $0.name, value: Self.option(for: $0)) })
    }

    private static func option(for parameter: Parameter) -> Any {
        let name: NameSpecification =
            parameter.name == "n" ? [.customShort("n"), .customLong("n")] : [.customLong(parameter.name)]
        let summary = parameter.summary.prefix(1).uppercased() + parameter.summary.dropFirst() + "."
        let help = ArgumentHelp(summary)
        if parameter.kind == .flag { return Flag(wrappedValue: false, name: name, help: help) }
        // A number may begin with a minus, as options do.
        return Option<ParameterValue?>(
            name: name, parsing: parameter.kind == .text ? .next : .unconditional, help: help
        ) { text in
            guard let value = parameter.kind.value(of: text) else {
                throw TransferQError.invalidParameter(
                    name: parameter.name, value: text, requirement: parameter.requirement)
            }
            return value
        }
    }
}
