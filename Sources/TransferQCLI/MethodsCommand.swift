import ArgumentParser
import TransferQ
import TransferQConsole

struct MethodsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "methods",
        abstract: "Show the decoding methods, or one of them, with defaults and ranges of their parameters.")

    @Argument(help: "The name of a method (default: all of them).") var name: String?

    func run() throws {
        if let name { _ = try DecodingMethods.make(name) }
        for type in DecodingMethods.table where name == nil || type.name == name {
            let configured = try DecodingMethods.make(type.name)
            Console.print("\(type.name)\n    \(type.summary)")
            for parameter in configured.parameters {
                let value = parameter.value?.description ?? "off"
                let flag = parameter.name == "n" ? "-n" : "--\(parameter.name)"
                Console.print("    \(flag) (\(value)): \(parameter.summary); \(parameter.requirement)")
            }
            Console.print("")
        }
    }
}
