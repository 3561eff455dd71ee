#if Server
    import ArgumentParser
    import Foundation
    import TransferQ
    import TransferQConsole
    import TransferQLlama
    import TransferQRewards
    import TransferQRuntime
    import TransferQServer

    struct ServeCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "serve",
            abstract: "Answer over HTTP: OpenAI's API and a page to try it.",
            usage: "transferq serve [--config <file>] [--reward <reward> ...] [<options>]",
            discussion: """
                One model with its reward and method as options say, or several by name from a file. A line of JSON for each \
                request goes to standard output, without prompts. SIGTERM ends it when running answers are done.

                  transferq serve --reward length:30
                  transferq serve --config Examples/Server/presets.yaml --port 8000
                  curl http://127.0.0.1:8080/v1/models
                """)

        @Option(
            help: "Presets by name, in YAML or JSON (see docs/server.md), in place of models, rewards and methods here."
        )
        var config: String?

        @OptionGroup(title: "Server") var server: ServeOptions
        @OptionGroup(title: "Models") var models: ModelOptions

        @Option(help: "A reward, [MODIFIER:…]KIND:ARGUMENT[:WEIGHT]; several are summed (see: transferq reward kinds).")
        var reward: [String] = []

        @Option(help: .rare("The reward that the baseline was aligned with, for transfer-q-indirect."))
        var baselineReward: [String] = []

        @Option(help: .rare("Approximate: the file of a value head, in place of rollouts."))
        var valueHead: String?

        @Option(parsing: .unconditional, help: "Longest answer in tokens where a client says nothing.")
        var maxTokens = 256

        @Option(parsing: .unconditional, help: .rare("Seconds that a reward's program or server may take for a batch."))
        var rewardTimeout = 60.0

        @Option(help: "How to decode where a client says nothing (default: transfer-q with a reward, sample without).")
        var method: String?

        @Option(help: .rare("The name of the model that clients ask for (default: that of the model)."))
        var name: String?

        @OptionGroup(title: "Parameters of methods") var parameters: MethodOptions

        func validate() throws {
            try validateTimeout(rewardTimeout)
            guard maxTokens >= 1 else { throw ValidationError("--max-tokens must be at least 1, not \(maxTokens)") }
            if config != nil {
                let isGiven =
                    !reward.isEmpty || !baselineReward.isEmpty || !parameters.values.isEmpty
                    || [
                        models.model, models.baseline, models.baselineSystem, models.baselineLora, method, name,
                        valueHead,
                    ]
                    .contains { $0 != nil }
                guard !isGiven else {
                    throw ValidationError(
                        "--config names models, rewards and methods, so it goes without options for them")
                }
            }
        }

        func run() async throws {
            let options = try server.options()
            let spec = try config.map(Self.read) ?? ServerSpec(presets: [modelName: preset()])
            let capacity = try server.capacity(runtimes: PresetTable.runtimeCount(of: spec))
            let presets = try await Interruption.cancellable { [models, rewardTimeout] in
                try await PresetTable.load(spec) { model, baseline in
                    try models.runtime(model, baseline: baseline, rewardTimeout: rewardTimeout, capacity: capacity)
                }
            }
            let isQuiet = server.quiet
            let log = ServerLog(
                access: { if !isQuiet { Console.print($0) } }, say: { Console.say($0) }, showsPrompts: server.logPrompts
            )
            let shown = options.host.contains(":") ? "[\(options.host)]" : options.host
            let answers = try AnswerServer(presets: presets, options: options, log: log) { port in
                Console.say("listening on http://\(shown):\(port)")
            }
            try await serve(answers)
        }

        private func serve(_ answers: AnswerServer) async throws {
            let grace = server.grace
            let task = Task { try await answers.run() }
            do {
                try await Interruption.graceful(patience: grace + 5) {
                    Task {
                        await answers.end(within: grace)
                        // What is written by now has a moment to arrive.
                        try await Task.sleep(for: .seconds(2))
                        task.cancel()
                    }
                } _: {
                    try await task.value
                }
            } catch is CancellationError {
                // It was told to end.
            } catch {
                throw UsageError(
                    "\(server.host):\(server.port) cannot be listened on (\(error)); choose another --host or --port")
            }
        }

        private static func read(_ path: String) throws -> ServerSpec {
            let hint = "write at least presets: in it (see Examples/Server/presets.yaml)"
            do { return try ServerSpec(json: ConfigurationFile.json(path, hint: hint), path: path) } catch let failure
                as ConfigurationFile.Failure
            {
                throw UsageError(failure.description)
            }
        }

        private var modelName: String {
            if let name { return name }
            let model = models.model ?? KnownModel.demonstration.name
            return model.hasSuffix(".gguf") ? URL(filePath: model).deletingPathExtension().lastPathComponent : model
        }

        private func preset() throws -> PresetSpec {
            var preset = PresetSpec()
            preset.model = try models.model.map(ModelSpec.init)
            preset.baseline = try models.baselineSpec()
            if !reward.isEmpty { preset.rewards = try PresetSpec.named(reward) }
            preset.scoring = ScoringSpec(
                baselineReward: baselineReward.isEmpty ? nil : try RewardSpec(baselineReward), valueHead: valueHead)
            preset.limits = try AnswerLimits(maximumTokens: maxTokens)
            let standard = try preset.configuredMethod
            preset.method = try MethodSpec(method ?? standard.name, parameters.values)
            return preset
        }
    }
#endif
