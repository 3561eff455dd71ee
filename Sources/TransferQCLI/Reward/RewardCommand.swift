import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
import TransferQRewards

struct RewardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reward",
        abstract: "Fit, try, inspect and calibrate rewards.",
        subcommands: [
            Kinds.self, RewardFitCommand.self, RewardScoreCommand.self, Inspect.self, RewardCalibrateCommand.self,
            Convert.self,
        ])

    struct Kinds: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the kinds of rewards and what modifies them.",
            discussion: """
                A reward is written [MODIFIER:…]KIND:ARGUMENT[:WEIGHT]; the weight counts where several are summed.

                  transferq generate "How do I make tea?" --reward head:Rewards/harmless.json --reward length:30:0.5
                """)

        func run() {
            let kinds = ModelRewards(models: ModelFiles.models).catalogue.kinds
            let rows = kinds.map { ["\($0.name):\($0.argument)", $0.summary] }
            let width = rows.map { $0[0].count }.max() ?? 0
            func line(_ name: String, _ text: String) -> String {
                name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + text
            }
            Console.print(rows.map { line($0[0], $0[1]) }.joined(separator: "\n"))
            Console.print("\nmodifiers\n" + RewardCatalogue.modifiers.map { line($0, $1) }.joined(separator: "\n"))
        }
    }

    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what a head file says of itself.")

        @Argument(help: "A head file.")
        var head: String

        func run() throws {
            let head = try LinearHead.read(head)
            func number(_ value: Double) -> String { value.significant(4) }
            let backbone = head.backbone
            var rows = [
                ("backbone", "\(backbone.model)\(backbone.type.map { " in \($0)" } ?? ""), width \(backbone.width)"),
                ("SHA-256", backbone.sha256 + (backbone.type == nil ? "" : " (of the published file)")),
                ("reads", "\(head.pooling.rawValue) states, \(head.template.rawValue) template"),
                ("weights", "\(head.weights.count), bias \(number(head.bias))"),
            ]
            if let training = head.training {
                let lambda = training.regularization.significant()
                rows.append(("fitted on", "\(training.count) of \(training.data), λ \(lambda)"))
                rows.append(("data SHA-256", training.sha256))
                if let missing = training.withoutPrompt, missing > 0 {
                    rows.append(("without prompt", "\(missing) of the answers fitted on"))
                }
            }
            if let held = head.heldOut {
                let interval = "\(held.accuracy.fixed(3)) (95 %: \(held.low.fixed(3)) to \(held.high.fixed(3)))"
                rows.append(("held out", "accuracy \(interval) on \(held.count)"))
            }
            if let scale = head.calibration {
                rows.append(
                    ("typical", "mean \(number(scale.mean)), spread \(number(scale.spread)) on \(scale.count) answers"))
            }
            if let instruction = head.instruction { rows.append(("wants", instruction)) }
            if let range = head.range {
                rows.append(("range", "\(number(range.lowerBound)) to \(number(range.upperBound))"))
            }
            let width = rows.map { $0.0.count }.max() ?? 0
            let lines = rows.map { $0.0.padding(toLength: width + 2, withPad: " ", startingAt: 0) + $0.1 }
            Console.print(lines.joined(separator: "\n"))
        }
    }

    struct Convert: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the head out of a Hugging Face reward model (…ForSequenceClassification).",
            discussion: """
                The body of the model must be at hand as GGUF (convert it with llama.cpp's own converter). The head goes \
                into a file; named FILE.head.json beside FILE, it is found by gguf:FILE.

                  transferq reward convert reward-model/ --model reward-model.gguf --output reward-model.gguf.head.json
                  transferq reward score answers.jsonl --reward gguf:reward-model.gguf
                """)

        @Argument(help: "A folder with safetensors files, one such file, or the index of several.")
        var checkpoint: String

        @Option(help: "The body: a GGUF file.")
        var model: String

        @Option(name: .shortAndLong, help: "The head file to write.")
        var output: String

        @Option(help: "The tensor to take (default: score.weight and other usual names).")
        var tensor: String?

        @Option(name: .customLong("class"), help: "Which row to take of a head with several.")
        var row: Int?

        func run() async throws {
            let file = try Safetensors(path: checkpoint)
            guard let found = try tensor.map({ try file.tensor([$0]) }) ?? file.head() else {
                let names = tensor ?? Safetensors.usualHeads.joined(separator: ", ")
                throw RewardError.badCheckpoint(
                    path: checkpoint, reason: "it has no tensor \(names); name the head's with --tensor")
            }
            if try file.hasAdapter() {
                Console.say(
                    "\(checkpoint) holds a LoRA adapter, and its head was trained on the model under it: \(model) must be "
                        + "the GGUF of the merged model (PEFT's merge_and_unload)")
            }
            let width = found.shape.last ?? 0
            let rows = width > 0 ? found.values.count / width : 0
            guard rows > 0, row.map((0..<rows).contains) ?? (rows == 1) else {
                throw RewardError.badCheckpoint(
                    path: checkpoint,
                    reason: "\(found.name) has \(rows) rows; say which one is the reward with --class, from 0 on")
            }
            let place = row ?? 0
            let isWeight = found.name.hasSuffix("weight")
            let bias =
                isWeight ? try file.tensor([found.name.replacing(/weight$/, with: "bias")])?.values ?? [] : []
            let body = try await ModelFiles.load(try await ModelFiles.path(model))
            guard body.width == width else {
                throw LlamaError.wrongBackbone(
                    head: checkpoint, model: body.path,
                    reason: "its states have \(body.width) numbers and the head needs \(width)")
            }
            let head = LinearHead(
                backbone: try await ModelFiles.store.backbone(of: body), template: .chat, pooling: .end,
                weights: Array(found.values[(place * width)..<((place + 1) * width)]),
                bias: bias.indices.contains(place) ? Double(bias[place]) : 0)
            try head.write(to: output)
            Console.print("\(output): \(found.name), width \(width)\(bias.isEmpty ? "" : ", with a bias")")
        }
    }
}
