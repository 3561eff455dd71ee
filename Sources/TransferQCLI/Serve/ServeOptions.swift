#if Server
    import ArgumentParser
    import Foundation
    import TransferQConsole
    import TransferQRuntime
    import TransferQServer

    /// Where a server listens, to whom, and what it may take.
    struct ServeOptions: ParsableArguments {
        @Option(help: "The address to listen on; another one than this machine's own needs --api-key-file.")
        var host = "127.0.0.1"

        @Option(parsing: .unconditional, help: "The port to listen on; 0 takes one that is free, which is printed.")
        var port = 8080

        @Option(help: "A file of keys, one on each line: clients must send one (Authorization: Bearer KEY).")
        var apiKeyFile: String?

        @Flag(help: .rare("Listen on any address although no key is asked for."))
        var withoutAPIKey = false

        @Option(parsing: .unconditional, help: "Answers at the same time, of one set of models.")
        var parallel = 4

        @Option(parsing: .unconditional, help: "Answers that may wait; more are told to come again (429).")
        var line = 64

        @Option(parsing: .unconditional, help: .rare("Longest prompt that slots are made for at once, in tokens."))
        var promptTokens = 1024

        @Option(parsing: .unconditional, help: "Longest answer that a client may ask for, in tokens.")
        var longestAnswer = 1024

        @Option(
            parsing: .unconditional,
            help: .rare("Longest time of a request in seconds, the wait for its slot included."))
        var timeLimit = 600.0

        @Option(
            parsing: .unconditional,
            help: .rare("Most memory for contexts, in MB (default: half of the machine's)."))
        var memory: Int?

        @Option(
            parsing: .unconditional, help: .rare("Seconds that running answers get when the server is told to end."))
        var grace = 30.0

        @Flag(help: .rare("Write no line for each request."))
        var quiet = false

        @Flag(help: .rare("Show prompts in the lines of requests."))
        var logPrompts = false

        func validate() throws {
            guard (0...65_535).contains(port) else {
                throw ValidationError("--port must be between 0 and 65535, not \(port)")
            }
            guard (1...32).contains(parallel) else {
                throw ValidationError("--parallel must be between 1 and 32, not \(parallel)")
            }
            guard (0...100_000).contains(line) else {
                throw ValidationError("--line must be between 0 and 100000, not \(line)")
            }
            guard promptTokens >= 1, longestAnswer >= 1, memory.map({ $0 >= 1 }) ?? true else {
                throw ValidationError("--prompt-tokens, --longest-answer and --memory must be at least 1")
            }
            guard timeLimit.isFinite, timeLimit > 0, grace.isFinite, grace >= 0 else {
                throw ValidationError("--time-limit must be above 0 seconds, --grace at least 0")
            }
        }

        /// - Throws: `UsageError` where anybody could ask, and nobody has said that it shall be so.
        func options() throws -> AnswerServer.Options {
            var options = AnswerServer.Options()
            options.host = host
            options.port = port
            options.parallel = parallel
            options.limits.answerTokens = longestAnswer
            options.limits.seconds = timeLimit
            if let apiKeyFile {
                guard let data = FileManager.default.contents(atPath: apiKeyFile) else {
                    throw UsageError("\(apiKeyFile) cannot be read; check the path and its permissions")
                }
                guard let keys = APIKeys(String(decoding: data, as: UTF8.self)) else {
                    throw UsageError("\(apiKeyFile) holds no key; write one on each line, of letters, digits and signs")
                }
                options.keys = keys
            }
            guard options.isLocal || options.keys != nil || withoutAPIKey else {
                throw UsageError(
                    "anybody who reaches \(host) could use the server; give --api-key-file FILE, or say --without-api-key"
                )
            }
            return options
        }

        /// - Parameter runtimes: sets of models that share the memory.
        func capacity(runtimes: Int) throws -> RuntimeCapacity {
            let bytes = memory.map { Int(clamping: UInt64($0) * 1_000_000) }
            let all = bytes ?? Int(clamping: ProcessInfo.processInfo.physicalMemory / 2)
            return try RuntimeCapacity(
                parallel: parallel, promptTokens: promptTokens, answerTokens: min(256, longestAnswer),
                longestLine: line,
                memory: max(1, all / max(1, runtimes)))
        }
    }
#endif
