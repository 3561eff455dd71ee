import ArgumentParser
import TransferQ
import TransferQConsole

struct MethodsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "methods", abstract: "List the decoding methods with their parameters.")

    func run() throws {
        for type in DecodingMethods.table {
            let configured = try DecodingMethods.make(type.name)
            Console.print("\(type.name)\n    \(type.summary)")
            for parameter in configured.parameters {
                let value = parameter.value?.description ?? "off"
                let flag = parameter.name.count == 1 && parameter.name == "n" ? "-n" : "--\(parameter.name)"
                Console.print("    \(flag) (\(value)): \(parameter.summary); \(parameter.requirement)")
            }
            Console.print("")
        }
    }
}
