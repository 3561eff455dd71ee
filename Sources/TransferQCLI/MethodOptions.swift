import ArgumentParser
import TransferQ
import TransferQConsole
import TransferQRuntime

/// How to decode: an option for every parameter in the method table. A parameter belongs to some methods and is refused by
/// the others; `transferq methods` lists them.
struct MethodOptions: ParsableArguments, CustomReflectable {
    /// The parameters given, by their names in the method table.
    let values: [String: ParameterValue]

    /// All parameters of methods by their names, in the order of the table.
    private static let table: [(name: String, uses: [Parameter])] = {
        // The defaults of a method are within their ranges; a test makes every method of them.
        let all = DecodingMethods.table.flatMap { (try? DecodingMethods.make($0.name).parameters) ?? [] }
        let uses = Dictionary(grouping: all, by: \.name)
        var names: Set<String> = []
        return all.filter { names.insert($0.name).inserted }.map { ($0.name, uses[$0.name] ?? []) }
    }()

    /// What most people set; `--help-hidden` shows the others.
    private static let common: Set<String> = ["k", "horizon", "alpha"]

    init() { values = [:] }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NamedKey.self)
        var values: [String: ParameterValue] = [:]
        for (name, uses) in Self.table {
            let key = NamedKey(name)
            if uses[0].kind == .flag {
                values[name] = try container.decode(Flag<Bool>.self, forKey: key).wrappedValue ? "on" : nil
            } else {
                values[name] = try container.decode(Option<ParameterValue?>.self, forKey: key).wrappedValue
            }
        }
        self.values = values
    }

    /// The parser learns of options from the property wrappers among a value's children, whose labels begin with `_`.
    var customMirror: Mirror {
        Mirror(self, children: Self.table.map { (label: "_" + $0.name, value: Self.option(for: $0.uses)) })
    }

    private static func option(for uses: [Parameter]) -> Any {
        let parameter = uses[0]
        let name: NameSpecification =
            parameter.name == "n" ? [.customShort("n"), .customLong("n")] : [.customLong(parameter.name)]
        let text = Self.text(for: uses)
        let help = common.contains(parameter.name) ? ArgumentHelp(text) : .rare(text)
        if parameter.kind == .flag { return Flag(wrappedValue: false, name: name, help: help) }
        // A number may begin with a minus, as options do.
        return Option<ParameterValue?>(
            name: name, parsing: parameter.kind == .text ? .next : .unconditional, help: help
        ) { written in
            guard let value = parameter.kind.value(of: written) else {
                throw TransferQError.invalidParameter(
                    name: parameter.name, value: written, requirement: parameter.requirement)
            }
            return value
        }
    }

    /// What the methods say of a parameter, and its default where it is the same for all of them.
    private static func text(for uses: [Parameter]) -> String {
        var summaries: [String] = []
        for summary in uses.map(\.summary) where !summaries.contains(where: { $0.contains(summary) }) {
            summaries.removeAll { summary.contains($0) }
            summaries.append(summary)
        }
        let text = summaries.joined(separator: "; ")
        let defaults = Set(uses.map { $0.value?.description })
        let standard = defaults.count == 1 && uses[0].kind != .flag ? uses[0].value.map { " (default: \($0))" } : nil
        return text.prefix(1).uppercased() + text.dropFirst() + (standard ?? "") + "."
    }
}
