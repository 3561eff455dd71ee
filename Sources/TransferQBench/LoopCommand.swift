import ArgumentParser
import Foundation
import Synchronization
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRewards
import TransferQRuntime

/// `transferq-bench loop`: this program against the published loop in Hugging Face transformers.
struct LoopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loop",
        abstract: "Measure transfer-q against the published loop in Hugging Face transformers.",
        discussion: """
            Both sides answer the same prompts with the same model file, k, horizon and reward head, and take turns; greedy \
            rollouts and choices. The loop is Benchmarks/transformers_loop.py in the Python that --python names, which needs \
            torch, transformers, gguf and accelerate. It decodes a few tokens of each answer, spread evenly over it, between \
            the turns of this program's sides. Seconds are total time over total tokens, "times the loop" is their quotient, and \
            the median over the prompts stands beside it.
            """)

    @OptionGroup var steering: SteeringOptions
    @OptionGroup var file: PromptFileOptions
    @Option(help: "Tokens that the loop in transformers decodes of each answer; 0 leaves it out.") var loopTokens = 4
    @Option(help: "Confidence of the third side.") var confidence = 0.99
    @Flag(help: "Search every state of the third side in full, too, and count the choices that it changes.") var check =
        false
    @Option(help: "The Python to run the loop in.") var python = "python3"
    @Option(help: "The loop.") var script = "Benchmarks/transformers_loop.py"
    @Option(help: "bfloat16 or float32.") var dtype = "bfloat16"

    /// The file of a reward that the loop in transformers knows as well; that reads it in its own `dtype`.
    fileprivate var head: String? {
        let reward = steering.reward.trimmingPrefix("z:")
        return reward.hasPrefix("head:") ? Quantization.split(String(reward.dropFirst("head:".count))).path : nil
    }

    func validate() throws {
        guard loopTokens >= 0 else { throw ValidationError("--loop-tokens must be at least 0, not \(loopTokens)") }
        guard loopTokens == 0 || head != nil else {
            throw ValidationError(
                "the loop in transformers knows rewards of the form head:FILE only, not \(steering.reward); "
                    + "give one, or --loop-tokens 0")
        }
    }

    struct Report: Encodable {
        let model: String
        let alpha: Double
        /// Their ratios are the loop's seconds to the side's; kept gains are of the exact search without a range.
        var sides: [BenchSide]
        /// Of the tokens of each answer that it decoded.
        var loop = Pace()
        var checkedSteps = 0
        /// Choices that differ from those of a search of the same state in full, for whatever reason.
        var differentChoices = 0
        /// Choices that a candidate which was left out would have changed, what was known having the values that it had.
        var changedChoices = 0
    }

    func run() async throws {
        let plain = try steering.method(["without": "all"]).configured()
        let methods = try [
            ("plain decoding", MethodSpec(GreedyDecoding.name)),
            ("exact, no range", steering.method(["without": "prune"])),
            ("exact, the head's range", steering.method()),
            ("confidence \(confidence)", steering.method(["confidence": .number(confidence)])),
        ]
        let prompts = try SteeredPrompts(steering)
        let conversations = try file.conversations()
        var report = Report(
            model: try await ModelFiles.path(steering.models.model), alpha: steering.alpha,
            sides: methods.map { BenchSide($0.0) })
        let loop = loopTokens == 0 ? nil : try await LoopProcess(self, model: report.model)
        let progress = ProgressLine("prompts", of: conversations.count)
        for (index, conversation) in conversations.enumerated() {
            var answer: [Token] = []
            var loopSeconds: [Double] = []
            // The first one's answer is the way that the loop takes.
            for (turn, side) in [1, 2, 3, 0].enumerated() {
                let method = methods[side].1
                let open = try await prompts.open(conversation, method: method)
                let isChecked = check && side == methods.count - 1
                let steps = Mutex<[Decision]>([])
                let summary = try await open.measure { step in
                    steps.withLock { $0.append(step.decision) }
                }
                report.sides[side].add(summary)
                if turn == 0 { answer = steps.withLock { $0.flatMap(\.tokens) } }
                if let loop {
                    for place in stride(from: turn, to: loopTokens, by: methods.count) {
                        let step = (2 * place + 1) * answer.count / (2 * loopTokens)
                        try await loopSeconds.append(
                            loop.secondsOfStep(after: Array(answer.prefix(step)), of: open, steering))
                    }
                }
                guard isChecked else { continue }
                let taken = steps.withLock { $0 }
                for step in taken.indices {
                    let state = DecodingState(
                        task: try open.prompt.task(), response: Array(taken[..<step].map(\.tokens).joined()), step: step
                    )
                    let full = try await plain.method.decide(state)
                    report.checkedSteps += 1
                    report.differentChoices += full.tokens == taken[step].tokens ? 0 : 1
                    report.changedChoices += taken[step].isBeaten(in: full, alpha: steering.alpha) ? 1 : 0
                }
            }
            if loop != nil { report.loop.add(seconds: loopSeconds.reduce(0, +), tokens: loopSeconds.count) }
            progress.update(index + 1)
        }
        for side in report.sides.indices where loop != nil {
            report.sides[side].ratio = report.loop.ratio(to: report.sides[side].pace)
        }
        for side in 2..<report.sides.count {
            report.sides[side].keptGain = KeptGain(
                rewards: report.sides[side].rewards, full: report.sides[1].rewards, plain: report.sides[0].rewards)
        }
        Console.print(steering.format == .json ? try JSON.pretty(report) : text(report))
    }

    private func text(_ report: Report) -> String {
        var rows = [["side", "s/token", "times the loop", "median", "reward (95 %)"] + BenchSide.searchHeads]
        if !report.loop.seconds.isEmpty {
            rows.append(
                ["loop in transformers, \(dtype)", report.loop.secondsPerToken.fixed(3), "1.0", "1.0"]
                    + [String](repeating: "–", count: 1 + BenchSide.searchHeads.count))
        }
        for side in report.sides {
            rows.append(
                [side.name, side.pace.secondsPerToken.fixed(3)] + (side.ratio?.cells(digits: 1) ?? ["–", "–"])
                    + [MeanInterval(side.rewards).text] + side.searchCells)
        }
        var lines = TextTable.text(rows)
        // One prompt has no spread, and equal rewards have none.
        let spread = (try? RewardCalibration(of: report.sides[0].rewards))?.spread
        if let spread {
            let gains = zip(report.sides[1].rewards, report.sides[0].rewards).map { ($0 - $1) / spread }
            lines +=
                "\nalpha \(report.alpha.significant()) lifts the reward by \(MeanInterval(gains).text) standard deviations "
                + "of plain answers"
        }
        for side in report.sides {
            guard let kept = side.keptGain else { continue }
            lines +=
                "\n\(side.name) keeps \((100 * kept.share).fixed(0)) % of that gain (95 %: \((100 * kept.low).fixed(0)) "
                + "to \((100 * kept.high).fixed(0)))"
        }
        if report.checkedSteps > 0 {
            lines +=
                "\n\(report.changedChoices) of its \(report.checkedSteps) choices would be others had nothing been left "
                + "out; \(report.differentChoices) differ from those of a search in full, values moving with the shape of "
                + "a batch in other formats than f32"
        }
        return lines
    }
}

extension Decision {
    /// Whether a candidate that has no value here beats the choice, by the value that it has in a search in full of the
    /// same state.
    fileprivate func isBeaten(in full: Decision, alpha: Double) -> Bool {
        func value(_ tokens: [Token]) -> Double? { candidates.first { $0.tokens == tokens }?.value }
        guard let chosen = full.candidates.first(where: { $0.tokens == tokens }) else { return true }
        let moved = value(tokens).map { known in (known - (chosen.value ?? known)) / alpha } ?? 0
        return full.candidates.contains {
            $0.tokens != tokens && value($0.tokens) == nil && $0.score > chosen.score + moved
        }
    }
}

/// The loop in Python, a child that answers a line with a line.
private final class LoopProcess {
    private let child: ChildProcess

    init(_ command: LoopCommand, model: String) async throws {
        let path = command.head ?? command.steering.reward
        let head = try LinearHead.read(path)
        guard head.pooling != .end else {
            throw UsageError("\(path) pools at the end of a text, which the loop does not; use last, mean or both")
        }
        let backbone = try await ModelFiles.store.file(of: head.backbone, head: path, likely: [model])
        guard let data = FileManager.default.contents(atPath: path),
            var fields = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        else { throw UsageError("\(path) cannot be read; name a head file") }
        fields["standardize"] = true
        child = try ChildProcess("/usr/bin/env", [command.python, command.script], input: .pipe, output: .pipe)
        _ = try exchange([
            "model": model, "head_model": backbone, "dtype": command.dtype,
            "threads": command.steering.models.threads ?? ProcessInfo.processInfo.activeProcessorCount, "head": fields,
        ])
    }

    private func exchange(_ object: [String: Any]) throws -> [String: Any] {
        var line = try JSONSerialization.data(withJSONObject: object)
        line.append(UInt8(ascii: "\n"))
        try child.input?.write(contentsOf: line)
        var reply = Data()
        while reply.last != UInt8(ascii: "\n") {
            guard let part = child.output?.availableData, !part.isEmpty else {
                throw UsageError(
                    "the loop in transformers ended; give --python with torch, transformers, gguf and accelerate")
            }
            reply += part
        }
        return try JSONSerialization.jsonObject(with: reply) as? [String: Any] ?? [:]
    }

    /// Of one step, what earlier steps read not included.
    func secondsOfStep(after response: [Token], of open: SteeredPrompt, _ steering: SteeringOptions) async throws
        -> Double
    {
        let prompt = try open.model.prompt(for: open.prompt.messages)
        let tokenizer = open.model.tokenizer
        let reply = try exchange([
            "reference": open.prompt.prompts.reference, "baseline": open.prompt.prompts.baseline, "reward": prompt,
            "response": response,
            "k": steering.k, "horizon": steering.horizon, "alpha": steering.alpha, "tilt": steering.tilt.rawValue,
            "tokens": 1, "ends": (0..<Token(tokenizer.size)).filter(tokenizer.isEnd),
        ])
        guard let seconds = (reply["seconds"] as? [Double])?.first else {
            throw UsageError("the loop in transformers gave no answer; see what it wrote to standard error")
        }
        return seconds
    }
}
