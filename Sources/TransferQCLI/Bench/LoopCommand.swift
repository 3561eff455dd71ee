public import ArgumentParser
import Foundation
import Synchronization
public import TransferQ
import TransferQLlama
import TransferQRewards

/// `bench loop`: this program against the published loop in Hugging Face transformers.
struct LoopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loop",
        abstract: "Measure transfer-q against the published loop in Hugging Face transformers.",
        discussion: """
            Both sides answer the same prompts with the same model file, k, horizon and reward head, and take turns, \
            prompt by prompt; greedy rollouts and choices. The loop is Benchmarks/transformers_loop.py in the Python that \
            --python names, which needs torch, transformers, gguf and accelerate. It decodes the first tokens of each \
            answer only, its cheapest ones; ratios are medians over prompts.
            """)

    @OptionGroup(title: "Models") var models: ModelOptions
    @Option(help: "JSON lines with a prompt, or data of prompts with answers.") var prompts: String
    @Option(help: "Use the first so many prompts.") var limit = 10
    @Option(help: "A head file.") var head = "Rewards/harmless.json"
    @Option(help: "Candidates a step.") var k = 10
    @Option(help: "Most tokens of a rollout.") var horizon = 20
    @Option(help: "Reward per nat.") var alpha = 1.0
    @Option(help: "reference or baseline.") var tilt: Guidance.Tilt = .baseline
    @Option(help: "Longest answer in tokens.") var maxTokens = 48
    @Option(help: "Tokens that the loop in transformers decodes of each answer; 0 leaves it out.") var loopTokens = 3
    @Option(help: "Confidence of the third side.") var confidence = 0.99
    @Flag(help: "Search every state of the third side in full, too, and count the choices that differ.") var check =
        false
    @Option(help: "The Python to run the loop in.") var python = "python3"
    @Option(help: "The loop.") var script = "Benchmarks/transformers_loop.py"
    @Option(help: "bfloat16 or float32.") var dtype = "bfloat16"
    @Option(help: "text or json.") var format: OutputFormat = .text

    func validate() throws {
        guard limit >= 1, maxTokens >= 1, loopTokens >= 0 else {
            throw ValidationError("--limit and --max-tokens must be at least 1, --loop-tokens at least 0")
        }
    }

    struct Side: Encodable {
        let name: String
        var secondsPerToken: [Double] = []
        var rewards: [Double] = []
        var figures: [SearchFigures] = []
        /// Median over the prompts of the loop's seconds to this side's.
        var ratio: Double?

        func mean(_ figure: (SearchFigures) -> Double) -> Double {
            figures.reduce(0) { $0 + figure($1) } / Double(max(1, figures.count))
        }
        var meanReward: Double { rewards.reduce(0, +) / Double(max(1, rewards.count)) }
    }

    struct Report: Encodable {
        let model: String
        let alpha: Double
        var sides: [Side]
        var loopSecondsPerToken: [Double] = []
        var checkedSteps = 0
        var changedChoices = 0
    }

    func run() async throws {
        let parameters: [String: ParameterValue] = [
            "k": .integer(k), "horizon": .integer(horizon), "alpha": .number(alpha), "tilt": .text(tilt.rawValue),
            "choice": "greedy",
        ]
        func method(_ more: [String: ParameterValue]) throws -> ConfiguredMethod {
            try DecodingMethods.make("transfer-q", parameters.merging(more) { $1 })
        }
        let plain = try method(["without": "all"])
        let methods = try [
            ("plain decoding", DecodingMethods.make("greedy")), ("exact, no range", method(["without": "prune"])),
            ("exact, the head's range", method([:])),
            ("confidence \(confidence)", method(["confidence": .number(confidence)])),
        ]
        let answer = try AnswerOptions.parse(
            ["--reward", "z:head:\(head)", "--max-tokens", "\(maxTokens)", "--seed", "1"])
        let rewards = try await Rewards(answer, models: models)
        let conversations = try RewardData.prompts(prompts).prefix(limit)
        var report = Report(
            model: try await ModelFiles.path(models.model), alpha: alpha, sides: methods.map { Side(name: $0.0) })
        let loop = loopTokens == 0 ? nil : try await LoopProcess(self, model: report.model)
        let progress = Progress("prompts", of: conversations.count)
        for (index, conversation) in conversations.enumerated() {
            let session = try await Session.open(
                models: models, conversation: conversation, answer: answer, rewards: rewards,
                methods: methods.map(\.1) + [plain])
            if let loop { report.loopSecondsPerToken.append(try await loop.secondsPerToken(of: session, self)) }
            for (side, (_, method)) in methods.enumerated() {
                let session = try await Session.open(
                    models: models, conversation: conversation, answer: answer, rewards: rewards, methods: [method])
                let isChecked = check && side == methods.count - 1
                let steps = Mutex<[[Token]]>([])
                let summary = try await session.run(method, warns: false) { step in
                    steps.withLock { $0.append(step.decision.tokens) }
                }
                report.sides[side].secondsPerToken.append(
                    summary.usage.seconds / Double(max(1, summary.usage.completionTokens)))
                report.sides[side].rewards.append(summary.reward ?? .nan)
                if let figures = SearchFigures(summary) { report.sides[side].figures.append(figures) }
                guard isChecked else { continue }
                let taken = steps.withLock { $0 }
                for step in taken.indices {
                    let state = DecodingState(
                        task: try session.task(), response: Array(taken[..<step].joined()), step: step)
                    report.checkedSteps += 1
                    report.changedChoices += try await plain.method.decide(state).tokens == taken[step] ? 0 : 1
                }
            }
            progress.update(index + 1)
        }
        for side in report.sides.indices where !report.loopSecondsPerToken.isEmpty {
            report.sides[side].ratio = median(
                zip(report.loopSecondsPerToken, report.sides[side].secondsPerToken).map { $0 / $1 })
        }
        Console.print(format == .json ? try JSON.pretty(report) : text(report))
    }

    private func text(_ report: Report) -> String {
        func number(_ value: Double, _ format: String = "%.2f") -> String { String(format: format, value) }
        var rows = [
            [
                "side", "s/token", "times the loop", "reward", "candidates", "certified", "rollout tokens/token",
                "reused",
                "width",
            ]
        ]
        if !report.loopSecondsPerToken.isEmpty {
            rows.append(
                ["loop in transformers, \(dtype)", number(median(report.loopSecondsPerToken), "%.3f"), "1.0"]
                    + [String](repeating: "–", count: 6))
        }
        for side in report.sides {
            let isSearch = !side.figures.isEmpty
            rows.append([
                side.name, number(median(side.secondsPerToken), "%.3f"), side.ratio.map { number($0, "%.1f") } ?? "–",
                number(side.meanReward, "%.3f"), isSearch ? number(side.mean(\.evaluatedCandidates)) : "–",
                isSearch ? number(100 * side.mean(\.certifiedShare), "%.0f %%") : "–",
                isSearch ? number(side.mean(\.rolloutTokensPerToken), "%.1f") : "–",
                isSearch ? number(100 * side.mean(\.reusedShare), "%.0f %%") : "–",
                isSearch ? number(side.mean(\.batchWidth), "%.1f") : "–",
            ])
        }
        var lines = TextTable.text(rows)
        let spread = (try? RewardCalibration(of: report.sides[0].rewards))?.spread  // one prompt has none
        if let spread {
            let gain = report.sides[1].meanReward - report.sides[0].meanReward
            let kept = report.sides[3].meanReward - report.sides[0].meanReward
            lines += String(
                format:
                    "\nalpha %g lifts the reward by %.2f standard deviations of plain answers; %@ keeps %.0f %% of it",
                report.alpha, gain / spread, report.sides[3].name, 100 * kept / gain)
        }
        if report.checkedSteps > 0 {
            lines += "\n\(report.changedChoices) of \(report.checkedSteps) of its choices differ from the full search's"
        }
        return lines
    }
}

extension Guidance.Tilt: ExpressibleByArgument {}

/// The loop in Python, a child that answers a line with a line.
private final class LoopProcess {
    private let child = Process()
    private let input = Pipe()
    private let output = Pipe()
    private let command: LoopCommand

    init(_ command: LoopCommand, model: String) async throws {
        self.command = command
        child.executableURL = URL(filePath: "/usr/bin/env")
        child.arguments = [command.python, command.script]
        child.standardInput = input
        child.standardOutput = output
        let head = try LinearHead.read(command.head)
        let backbone = try await ModelFiles.store.file(of: head.backbone, head: command.head, likely: [model])
        guard let data = FileManager.default.contents(atPath: command.head),
            var fields = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        else { throw UsageError("\(command.head) cannot be read; name a head file") }
        fields["standardize"] = true
        try child.run()
        _ = try exchange([
            "model": model, "head_model": backbone, "dtype": command.dtype,
            "threads": command.models.threads ?? ProcessInfo.processInfo.activeProcessorCount, "head": fields,
        ])
    }

    deinit { child.terminate() }

    private func exchange(_ object: [String: Any]) throws -> [String: Any] {
        var line = try JSONSerialization.data(withJSONObject: object)
        line.append(UInt8(ascii: "\n"))
        try input.fileHandleForWriting.write(contentsOf: line)
        var reply = Data()
        while reply.last != UInt8(ascii: "\n") {
            let part = output.fileHandleForReading.availableData
            guard !part.isEmpty else {
                throw UsageError(
                    "the loop in transformers ended; give --python with torch, transformers, gguf and accelerate")
            }
            reply += part
        }
        return try JSONSerialization.jsonObject(with: reply) as? [String: Any] ?? [:]
    }

    /// Of the first tokens of an answer, their prompts' reading included.
    func secondsPerToken(of session: Session, _ command: LoopCommand) async throws -> Double {
        let head = try LinearHead.read(command.head)
        let prompt = try await session.model.prompt(for: session.conversation)
        let vocabulary = session.model.vocabulary
        let reply = try exchange([
            "reference": session.referencePrompt, "baseline": session.baselinePrompt, "reward": prompt,
            "response": [Int](),
            "k": command.k, "horizon": command.horizon, "alpha": command.alpha, "tilt": command.tilt.rawValue,
            "tokens": command.loopTokens, "ends": (0..<Token(vocabulary.size)).filter(vocabulary.isEnd),
        ])
        guard let seconds = reply["seconds"] as? [Double], !seconds.isEmpty, head.pooling != .end else {
            throw UsageError("the loop in transformers gave no answer; see what it wrote to standard error")
        }
        return seconds.reduce(0, +) / Double(seconds.count)
    }
}
