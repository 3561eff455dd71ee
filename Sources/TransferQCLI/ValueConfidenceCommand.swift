import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQRewards
import TransferQRuntime

/// `value confidence`: what `--confidence` assumes of values, measured on traces.
struct ValueConfidenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confidence",
        abstract: "Measure what --confidence assumes of values, from traces of searches in full.",
        discussion: """
            --confidence leaves candidates out by a model of how values differ. Its numbers were measured on the \
            demonstration model and head; measure them on your own model and reward, on prompts of the kind that you will \
            ask:

              transferq generate --batch prompts.jsonl --reward head:Rewards/harmless.json --alpha 0.3 --without all \\
                --choice greedy --trace trace.jsonl --output answers.jsonl
              transferq value confidence trace.jsonl --alpha 0.3 --reward-range -3..3 --output confidence.json
              transferq generate "…" --reward head:Rewards/harmless.json --alpha 0.3 --confidence 0.99 \\
                --confidence-calibration confidence.json
            """)

    @Argument(help: "Traces of generate --trace, with --without prune or all.") var traces: [String]
    @Option(help: "The calibration file to write (default: only print).") var output: String?
    @Option(parsing: .unconditional, help: "The alpha of the traces.") var alpha: Double
    @Option(parsing: .unconditional, help: "The range of the reward, LOW..HIGH (default: none).") var rewardRange:
        String?
    @Option(parsing: .unconditional, help: "Mean of the reward over typical answers; 0 for z: rewards.") var mean = 0.0
    @Option(parsing: .unconditional, help: "Its standard deviation over typical answers; 1 for z: rewards.")
    var spread =
        1.0
    @Option(help: "What the traces are of, in words: model, reward, prompts (default: the names of the files).")
    var source: String?

    func validate() throws {
        guard !traces.isEmpty else { throw ValidationError("name at least one trace") }
        guard alpha > 0, alpha.isFinite else {
            throw ValidationError("--alpha must be a finite number above 0, not \(alpha)")
        }
        guard spread > 0, spread.isFinite, mean.isFinite else {
            throw ValidationError("--mean must be finite, and --spread finite and above 0")
        }
        if let rewardRange, ClosedRange(written: rewardRange) == nil {
            throw ValidationError("--reward-range must be LOW..HIGH, for example -3..3, not \(rewardRange)")
        }
        guard output.map({ !traces.contains($0) }) ?? true else {
            throw ValidationError("--output would overwrite a trace; choose another file")
        }
    }

    func run() throws {
        let steps = try traces.enumerated().flatMap { index, path in
            let states = try ValueTrace(path).states
            guard states.allSatisfy(\.isGreedy) else {
                throw UsageError(
                    "\(path) holds tokens that were drawn, and a trace does not tell what a draw compared; make it with "
                        + "--choice greedy")
            }
            return states.compactMap { $0.step(alpha: alpha, trace: index) }
        }
        let prompts = Set(steps.map(\.prompt)).count
        let names = traces.map { URL(filePath: $0).lastPathComponent }.joined(separator: ", ")
        let calibration = try ConfidenceCalibration(
            measuring: steps, scale: ValueScale(range: rewardRange.flatMap { ClosedRange(written: $0) }, mean: mean),
            rewardSpread: spread, source: "\(source ?? names): \(steps.count) steps of \(prompts) prompts")
        if let output { try ConfidenceFile.write(calibration, to: output) }
        Console.print(Self.text(calibration))
    }

    static func text(_ calibration: ConfidenceCalibration) -> String {
        let standard = ConfidenceCalibration.standard
        func row(_ name: String, _ number: (ConfidenceCalibration) -> Double) -> [String] {
            [name, number(calibration).significant(3), number(standard).significant(3)]
        }
        let table = TextTable.text([
            ["", "measured", "standard"], row("slope", \.slope), row("spread", \.spread),
            row("prior steps", \.priorSteps), row("guess inflation", \.guessInflation), row("loss rate", \.lossRate),
        ])
        return "\(table)\nmeasured on \(calibration.source)\nstandard: \(standard.source)"
    }
}

extension ValueTrace.State {
    /// Whether the choice is the candidate of the best score, as far as the trace tells.
    var isGreedy: Bool {
        guard isWhole, scores.count == values.count, let chosen, let best = scores.max() else { return true }
        return scores[chosen] >= best
    }

    /// Nil unless all candidates have values, and scores by which to tell the incumbent.
    ///
    /// - Parameter trace: its number among several, whose prompts are different ones.
    func step(alpha: Double, trace: Int) -> ValuedStep? {
        guard isWhole, scores.count == values.count, let chosen else { return nil }
        // A score is log π_tilt + value / alpha, up to a constant.
        let priorities = zip(scores, values).map { $0 - $1 / alpha }
        guard let incumbent = priorities.indices.max(by: { priorities[$0] < priorities[$1] }) else { return nil }
        return ValuedStep(
            prompt: trace << 32 | prompt, incumbent: values[incumbent],
            others: values.indices.filter { $0 != incumbent }.map { values[$0] }, chosen: values[chosen],
            isIncumbentChosen: chosen == incumbent)
    }
}
