package import ArgumentParser
import Foundation
import TransferQ
import TransferQEvaluation
import TransferQLlama
import TransferQRewards
import TransferQRuntime
import TransferQTheory

/// Runs a program's commands: signals, errors and exit codes are the same for all programs of this package.
package enum Program {
    /// Whether the arguments ask for help.
    static let isAskedForHelp = {
        let arguments = CommandLine.arguments.dropFirst()
        return arguments.first == "help" || !Set(arguments).isDisjoint(with: ["-h", "--help", "--help-hidden"])
    }()

    /// Parses the arguments and runs the command that they name.
    ///
    /// - Parameter root: the command that holds the others.
    package static func run<Root: AsyncParsableCommand>(_ root: Root.Type) async {
        // A reader that has gone is met where the output is written.
        signal(SIGPIPE, SIG_IGN)
        Interruption.listen()
        do {
            for (index, argument) in CommandLine.unsafeArguments.enumerated() where argument == nil {
                throw UsageError("argument \(index) is not valid UTF-8; convert it, for example with iconv")
            }
            var command = try Root.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            Failure.exit(error, of: root)
        }
    }
}

extension CommandLine {
    /// The arguments, nil where one is no UTF-8; `arguments` would replace its bytes without a word.
    fileprivate static var unsafeArguments: [String?] {
        (0..<Int(argc)).map { index in unsafeArgv[index].flatMap { String(validatingCString: $0) } }
    }
}

/// Turns every error into one sentence on standard error and an exit code.
enum Failure {
    /// Exit codes: 1 failure, 64 wrong use; 130, 143 and 129 interrupted by Ctrl-C, SIGTERM and SIGHUP.
    static func code(of error: any Error) -> Int32 {
        switch error {
        case is CancellationError: Interruption.exitCode
        case let failure as RequestFailure: code(of: failure.reason)
        case is UsageError, is TabularError: 64
        case let error as EvaluationError:
            switch error {
            case .cannotWrite, .judge: 1
            case .unusableOutput, .invalidSpecification: 64
            }
        case let error as RuntimeError:
            if case .lineFull = error { 1 } else { 64 }
        case let error as TransferQError:
            switch error {
            case .rewardCount, .rewardNotFinite, .rewardOutsideRange, .rewardParts, .badStatement, .policyBreach,
                .valueCount, .valueUsage, .valueNotFinite, .valueOutsideRange, .methodBreach:
                1
            default: 64
            }
        case let error as LlamaError:
            switch error {
            case .emptyPrompt, .tooManySequences, .promptTooLong, .badOption: 64
            default: 1
            }
        case let error as StoreError:
            switch error {
            case .unknownModel, .badAddress: 64
            default: 1
            }
        default: 1
        }
    }

    static func exit<Root: ParsableCommand>(_ error: any Error, of root: Root.Type) -> Never {
        switch error {
        case is CancellationError: Interruption.end()
        case is UsageError, is TransferQError, is TabularError, is LlamaError, is StoreError, is ProbeFailure,
            is RewardError, is RequestFailure, is RuntimeError, is EvaluationError:
            Console.say("error: \(error)")
        case let error as NSError where error.domain == NSCocoaErrorDomain || error.domain == NSPOSIXErrorDomain:
            Console.say("error: \(error.localizedDescription)")
        default:
            // Help, version and the parser's own complaints know how to present themselves.
            let code = root.exitCode(for: error)
            let message = root.fullMessage(for: error)
            if !message.isEmpty, code == .success { Console.print(HelpText.closed(message, of: root)) }
            if !message.isEmpty, code != .success { Console.draw(Suggestion.checked(message)) }
            Foundation.exit(code.rawValue)
        }
        Foundation.exit(code(of: error))
    }
}

/// The help of a command, which shows the options that most people need.
enum HelpText {
    /// With a last line that says where the other options are, where there are any.
    static func closed<Root: ParsableCommand>(_ message: String, of root: Root.Type) -> String {
        var commands: [(path: String, type: any ParsableCommand.Type)] = [(Root._commandName, Root.self)]
        while let (path, command) = commands.popLast() {
            if message == root.helpMessage(for: command) {
                let whole = root.helpMessage(for: command, includeHidden: true)
                let hasMore = whole.count(where: \.isNewline) > message.count(where: \.isNewline)
                return hasMore ? "\(message)\nAll options: \(path) --help-hidden" : message
            }
            commands += command.configuration.subcommands.map { ("\(path) \($0._commandName)", $0) }
        }
        return message
    }
}

/// What the parser suggests for an option that it does not know.
enum Suggestion {
    /// The parser's message; without its suggestion where that shares less than half of its letters with what was written,
    /// such as --k for --n.
    static func checked(_ message: String) -> String {
        message.replacing(/(Unknown option '--?([^' ]+)[^']*')\. Did you mean '--?([^' ]+)[^']*'\?/) { match in
            let (written, suggested) = (Array(match.2), Array(match.3))
            let isNear = 2 * distance(written, suggested) < max(written.count, suggested.count)
            return isNear ? String(match.0) : "\(match.1); --help lists the options"
        }
    }

    /// Letters to insert, remove or replace to get from one text to the other.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var next = [index + 1]
            for (place, other) in right.enumerated() {
                next.append(min(row[place + 1] + 1, next[place] + 1, row[place] + (letter == other ? 0 : 1)))
            }
            row = next
        }
        return row[right.count]
    }
}

/// Something about the command line that only the command can judge.
package struct UsageError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
