import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRewards

struct RewardScoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "score",
        abstract: "Rewards of answers in a file, and how often they agree with people.",
        discussion: """
            DATA holds JSON lines, or a JSON list: {"prompt": …, "response": …}, or {"prompt": …, "chosen": …, \
            "rejected": …}, or {"text": …, "label": 0 or 1}, with texts or lists of messages, and other forms that are \
            usual. One JSON line an answer goes to standard output, the summary to standard error.

              transferq reward score answers.jsonl --reward length:40
              transferq reward score pairs.jsonl.gz --reward head:Rewards/harmless.json > rewards.jsonl
            """)

    @Argument(help: "JSON lines.")
    var data: String

    @OptionGroup var rewards: RewardOptions
    @OptionGroup var records: RecordFileOptions

    private struct Line: Encodable {
        let index: Int
        let reward: Double
        var rewardParts: [String: Double]?
        /// `chosen`, `rejected`, or the label.
        var role: String?
    }

    func run() async throws {
        let (data, _) = try records.read(data)
        let (completions, roles): ([Completion], [String?])
        switch data {
        case .pairs(let pairs):
            completions = pairs.flatMap { [$0.chosen, $0.rejected] }
            roles = pairs.flatMap { _ in ["chosen", "rejected"] }
        case .labelled(let texts):
            (completions, roles) = (texts.map(\.completion), texts.map { $0.label ? "1" : "0" })
        case .completions(let all): (completions, roles) = (all, all.map { _ in nil })
        }
        let isPaired = if case .pairs = data { true } else { false }
        let clock = ContinuousClock()
        let start = clock.now
        let all = try await Interruption.cancellable {
            let reward = try await rewards.rewardModel()
            var all: [Double] = []
            let progress = ProgressLine("answers scored", of: completions.count)
            // Neighbours share their conversation, and batches stay small enough to show progress.
            while all.count < completions.count {
                try Task.checkCancellation()
                let part = completions[all.count...].prefix(32)
                let scores = try await reward.checkedScores(for: Array(part))
                for (offset, score) in scores.enumerated() {
                    let place = all.count + offset
                    let parts = Dictionary(zip(reward.partNames, score.parts), uniquingKeysWith: +)
                    let line = Line(
                        index: isPaired ? place / 2 : place, reward: score.reward,
                        rewardParts: parts.isEmpty ? nil : parts, role: roles[place])
                    Console.print(try JSON.line(line))
                }
                all += scores.map(\.reward)
                progress.update(all.count)
            }
            return all
        }
        let mean = all.reduce(0, +) / Double(max(1, all.count))
        let spread = try? RewardCalibration(of: all)  // equal rewards have none
        Console.draw(
            "\(all.count) answers, mean reward \(mean.fixed(4)), spread \((spread?.spread ?? 0).fixed(4)), "
                + "\(((clock.now - start) / .seconds(1)).fixed(1)) s")
        if isPaired {
            let margins = stride(from: 0, to: all.count, by: 2).map { all[$0] - all[$0 + 1] }
            let accuracy = HeadFit.accuracy(margins)
            Console.draw(
                "pair accuracy \(accuracy.accuracy.fixed(3)) (95 %: \(accuracy.low.fixed(3)) to "
                    + "\(accuracy.high.fixed(3))) on \(accuracy.count) pairs")
        }
    }
}
