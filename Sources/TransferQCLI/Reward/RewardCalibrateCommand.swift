import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
import TransferQRewards
import TransferQRuntime

struct RewardCalibrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calibrate",
        abstract: "Measure a reward's mean and spread on a model's own answers.",
        discussion: """
            The model answers the prompts plainly, by sampling. In standard deviations of such answers a reward is \
            comparable with others, and alpha means the same whatever the reward. With --write, a head file keeps the \
            figures, and head:FILE is in these units from then on; otherwise they are printed as a modifier.

              transferq reward calibrate prompts.jsonl --reward length:40
              transferq reward calibrate train.jsonl.gz --limit 100 --reward head:kind.json --write
            """)

    @Argument(help: "Prompts, JSON lines: {\"prompt\": …}, or any data of prompts with answers.")
    var prompts: String

    @OptionGroup var rewards: RewardOptions
    @OptionGroup var records: RecordFileOptions

    @Option(help: "Use the first so many prompts only.")
    var limit = 100

    @Option(help: "Longest answer in tokens.")
    var maxTokens = 48

    @Option(help: "Seed of the answers.")
    var seed: UInt64 = 0

    @Flag(help: "Write the figures into the head file of the reward, which must be head:FILE.")
    var write = false

    func validate() throws {
        guard limit >= 2, maxTokens >= 1 else {
            throw ValidationError("--limit must be at least 2 and --max-tokens at least 1")
        }
        guard rewards.reward.count == 1 else {
            throw ValidationError("give one --reward; each is calibrated by itself")
        }
        if write, !rewards.reward[0].hasPrefix("head:") {
            throw ValidationError("--write needs a single reward head:FILE")
        }
        if write, let format = Quantization.split(rewards.reward[0]).format {
            throw ValidationError("--write keeps figures of the head's own format; leave @\(format.rawValue) out")
        }
    }

    func run() async throws {
        let conversations = try records.prompts(prompts, limit: limit)
        let scale = try await Interruption.cancellable {
            let reward = LoadedRewards(target: try await calibrated())
            let method = try MethodSpec(SampledDecoding.name)
            let requests = try conversations.enumerated().map { index, messages in
                try AnswerRequest(
                    messages: messages, method: method, limits: AnswerLimits(maximumTokens: maxTokens),
                    seed: seed &+ UInt64(index))
            }
            let prepared = try await rewards.runtime().prepare(requests, rewards: reward)
            var values: [Double] = []
            let progress = ProgressLine("answers", of: requests.count)
            for index in requests.indices {
                let summary = try await prepared.open(index).answer(by: method.configured(), isWhole: true) { $0.say() }
                if let value = summary.reward { values.append(value) }
                progress.update(values.count)
            }
            return try RewardCalibration(of: values)
        }
        Console.draw(
            "mean \(scale.mean.significant()), spread \(scale.spread.significant()) on \(scale.count) answers")
        guard write else {
            return Console.print("z:\(scale.mean.significant()),\(scale.spread.significant()):" + rewards.reward[0])
        }
        let path = String(rewards.reward[0].dropFirst("head:".count))
        var head = try LinearHead.read(path)
        head.calibration = scale
        try head.write(to: path)
        Console.print("\(path): calibrated")
    }

    /// The reward; without its squashing when the head's own figures, which that depends on, are to be measured.
    private func calibrated() async throws -> any RewardModel {
        guard write else {
            let reward = try await rewards.rewardModel(modifier: "raw:")
            guard reward.partNames.isEmpty else {
                throw UsageError("give the reward without a weight; z: goes before it, the weight behind")
            }
            return reward
        }
        var head = try LinearHead.read(String(rewards.reward[0].dropFirst("head:".count)))
        head.squash = nil
        let file = try await ModelFiles.store.file(
            of: head.backbone, head: rewards.reward[0], likely: [try await ModelFiles.path(rewards.model)])
        let reader = TextReader(
            model: try await ModelFiles.load(file), template: head.template, threads: rewards.threads)
        return try HeadReward(head, name: rewards.reward[0], reader: reader)
    }
}
