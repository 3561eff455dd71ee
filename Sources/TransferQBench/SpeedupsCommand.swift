import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// `transferq-bench speedups`: what each exact speed-up saves.
struct SpeedupsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "speedups",
        abstract: "Measure transfer-q without each of its exact speed-ups, and without all of them.",
        discussion: """
            All sides answer the same prompts with greedy rollouts and choices, and take turns, prompt by prompt; each \
            reads the prompt itself. Figures are means over the prompts; seconds are total time over total tokens, with the \
            median over the prompts beside their ratio.

              transferq-bench speedups --limit 5 --baseline-system "You are kind."
            """)

    @OptionGroup var steering: SteeringOptions
    @OptionGroup var file: PromptFileOptions

    struct Report: Encodable {
        let model: String
        let reward: String
        let k: Int
        let horizon: Int
        let alpha: Double
        let maxTokens: Int
        let prompts: Int
        /// Their ratios are the side's seconds to those with everything on.
        var sides: [BenchSide]
    }

    func run() async throws {
        let speedUps = SearchSettings.SpeedUp.allCases.map(\.rawValue)
        let sides =
            try [("all on", steering.method())]
            + speedUps.map { ("without \($0)", try steering.method(["without": .text($0)])) }
            + [("all off", steering.method(["without": "all"]))]
        let prompts = try SteeredPrompts(steering)
        let conversations = try file.conversations()
        var report = Report(
            model: try await ModelFiles.path(steering.models.model), reward: steering.reward, k: steering.k,
            horizon: steering.horizon, alpha: steering.alpha, maxTokens: steering.maxTokens,
            prompts: conversations.count, sides: sides.map { BenchSide($0.0) })
        // The first answer also pays for what is read from disk.
        _ = try await prompts.open(conversations[0], maximumLength: 1, method: sides[0].1).measure()
        let progress = ProgressLine("prompts", of: conversations.count)
        for (index, conversation) in conversations.enumerated() {
            var first: [Token]?
            for (side, (_, method)) in sides.enumerated() {
                let summary = try await prompts.open(conversation, method: method).measure()
                report.sides[side].add(summary)
                first = first ?? summary.tokens
                report.sides[side].equalAnswers = report.sides[side].equalAnswers ?? 0
                if summary.tokens == first { report.sides[side].equalAnswers? += 1 }
            }
            progress.update(index + 1)
        }
        for side in sides.indices {
            report.sides[side].ratio = report.sides[side].pace.ratio(to: report.sides[0].pace)
        }
        Console.print(steering.format == .json ? try JSON.pretty(report) : text(report))
    }

    private func text(_ report: Report) -> String {
        let head =
            ["side"] + BenchSide.searchHeads + [
                "tokens scored/token", "s/token", "to all on", "median", "same answers",
            ]
        let rows = report.sides.map { side in
            [side.name] + side.searchCells + [
                (side.scoredTokensPerToken.reduce(0, +) / Double(report.prompts)).fixed(1),
                side.pace.secondsPerToken.fixed(3),
            ] + (side.ratio?.cells(digits: 2) ?? ["–", "–"]) + ["\(side.equalAnswers ?? 0) of \(report.prompts)"]
        }
        return TextTable.text([head] + rows)
    }
}
