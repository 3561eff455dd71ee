import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
import TransferQRewards
import TransferQRuntime

struct ValueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "value", abstract: "Value heads, which predict what rollouts would come to.",
        subcommands: [Fit.self, ValueConfidenceCommand.self])

    struct Fit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fit a value head to the values that traces recorded.",
            discussion: """
                The head reads the hidden states of the policy that is tilted: name the models as you did for the trace. \
                Then --value head:FILE takes the place of rollouts, at the cost of one batch a step.

                  transferq generate --batch prompts.jsonl --reward head:Rewards/harmless.json --tilt baseline \\
                    --baseline-system "You are kind." --without prune --trace trace.jsonl --output answers.jsonl
                  transferq value fit trace.jsonl --tilt baseline --baseline-system "You are kind." --output value.json
                  transferq generate "…" --tilt baseline --baseline-system "You are kind." --value head:value.json
                """)

        @Argument(help: "Traces of generate --trace.") var traces: [String]
        @Option(help: "The head file to write.") var output: String
        @OptionGroup(title: "Models") var models: ModelOptions
        @Option(help: "The policy that is tilted: reference or baseline.") var tilt: Guidance.Tilt = .reference
        @Option(help: "Which hidden states: last, mean or both.") var pooling: LinearHead.Pooling = .both

        func validate() throws {
            guard !traces.isEmpty else { throw ValidationError("name at least one trace") }
            guard pooling != .end else { throw ValidationError("--pooling must be last, mean or both, not end") }
            guard !traces.contains(output) else {
                throw ValidationError("--output would overwrite the trace \(output); choose another file")
            }
        }

        func run() async throws {
            let traced = try traces.flatMap { try ValueTrace($0).states }
            // A prompt that was asked twice, in one trace or in two, is one prompt.
            let groups = PromptGroups(labels: traced.map { PromptGroups.key(of: $0.conversation) })
            let states = zip(groups.numbers, traced).map { (prompt: $0, state: $1) }
            let clock = ContinuousClock()
            let start = clock.now
            let (head, seconds) = try await Interruption.cancellable {
                let loaded = try await models.load()
                let valued = try await read(states, loaded)
                let seconds = (clock.now - start) / .seconds(1)
                let fit = try await ValueFit(valued) { regularization, explained in
                    Console.say(
                        "λ \(regularization.significant()): explains \((100 * explained).fixed(1)) % of what tells "
                            + "candidates apart")
                }
                let source = try await loaded.headSource(tilt)
                let head = LinearValueHead(
                    backbone: source.backbone, system: source.system, adapter: source.adapter, pooling: pooling,
                    fit: fit)
                return (head, seconds)
            }
            try head.write(to: output)
            let training = head.training
            Console.print(
                """
                \(output): \(training.candidates) candidates of \(training.states) states, λ \
                \(training.regularization.significant()); on prompts left out it explains \
                \((100 * training.explained).fixed(1)) % of the variance between a state's candidates \
                (standard deviation \(head.differenceSpread.fixed(3)))
                \(seconds.fixed(1)) s to read, \
                \(((clock.now - start) / .seconds(1) - seconds).fixed(1)) s to fit
                """)
        }

        /// The states that the tilted policy has behind every candidate.
        private func read(
            _ states: [(prompt: Int, state: ValueTrace.State)], _ loaded: LlamaModels
        ) async throws -> [ValuedState] {
            let isReference = tilt == .reference
            let model = isReference ? loaded.model : loaded.baselineModel ?? loaded.model
            let reader = TextReader(
                model: model, adapter: isReference ? nil : loaded.adapter, threads: models.threads)
            let progress = ProgressLine("states read", of: states.count)
            var valued: [ValuedState] = []
            while valued.count < states.count {
                try Task.checkCancellation()
                // Neighbours share most of what is read.
                let conversation = states[valued.count].state.conversation
                let part = states[valued.count...].prefix(8).prefix { $0.state.conversation == conversation }
                let prompts = try await loaded.prompts(for: conversation)
                for notice in prompts.notices { Console.sayOnce(notice) }
                let texts = part.flatMap { _, state in
                    state.candidates.map { model.tokenizer.isEnd($0) ? state.response : state.response + [$0] }
                }
                for token in texts.joined() where token < 0 || token >= model.tokenizer.size {
                    throw LlamaError.invalidToken(token: token, vocabulary: model.tokenizer.size)
                }
                var read = try await reader.states(
                    of: texts, prompt: isReference ? prompts.reference : prompts.baseline)[...]
                for (prompt, state) in part {
                    valued.append(
                        ValuedState(
                            prompt: prompt, states: Array(read.prefix(state.candidates.count)), values: state.values,
                            pooling: pooling))
                    read = read.dropFirst(state.candidates.count)
                }
                progress.update(valued.count)
            }
            return valued
        }
    }
}
