import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// `transferq-bench memory`: whether memory grows with the number of answers.
struct MemoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "memory",
        abstract: "Measure this process's memory after 1, 2, 4, 8 … answers of transfer-q.",
        discussion: """
            The prompts take turns, the longest first, so that what grows does so with the number of answers. Growth is \
            per answer, up to the last one: from the second, and over about the second half, where every prompt has \
            been met if there are more than twice as many answers.

              transferq-bench memory --answers 32 --reward length:40
            """)

    @OptionGroup var steering: SteeringOptions
    @OptionGroup var file: PromptFileOptions
    @Option(parsing: .unconditional, help: "Answers to give.") var answers = 16

    func validate() throws {
        guard (4...1_000_000).contains(answers) else {
            throw ValidationError("--answers must be between 4 and 1000000, not \(answers)")
        }
    }

    struct Sample: Encodable {
        let answers: Int
        let megabytes: ProcessMemory
    }

    struct Report: Encodable {
        let model: String
        let reward: String
        let k: Int
        let horizon: Int
        let maxTokens: Int
        /// The first is from after loading.
        var samples: [Sample] = []
        /// From the second answer, and from the first sample of the second half.
        var growth: [Growth] = []
    }

    struct Growth: Encodable {
        /// Answers that had been given where it begins.
        let from: Int
        let megabytesPerAnswer: ProcessMemory

        init(from first: Sample, to last: Sample) {
            from = first.answers
            let answers = Double(last.answers - first.answers)
            megabytesPerAnswer = ProcessMemory(
                resident: (last.megabytes.resident - first.megabytes.resident) / answers,
                peak: (last.megabytes.peak - first.megabytes.peak) / answers)
        }
    }

    func run() async throws {
        let method = try steering.method()
        let prompts = try SteeredPrompts(steering)
        func length(_ conversation: [Message]) -> Int { conversation.reduce(0) { $0 + $1.content.utf8.count } }
        let conversations = try file.conversations().sorted { length($0) > length($1) }
        var report = Report(
            model: try await ModelFiles.path(steering.models.model), reward: steering.reward, k: steering.k,
            horizon: steering.horizon, maxTokens: steering.maxTokens)
        try await prompts.open(conversations[0], method: method).readAllPrompts()
        report.samples.append(Sample(answers: 0, megabytes: try .now()))
        let progress = ProgressLine("answers", of: answers)
        for count in 1...answers {
            let conversation = conversations[(count - 1) % conversations.count]
            _ = try await prompts.open(conversation, method: method).measure()
            let isPowerOfTwo = count & (count - 1) == 0
            if isPowerOfTwo || count == answers {
                report.samples.append(Sample(answers: count, megabytes: try .now()))
            }
            progress.update(count)
        }
        if let last = report.samples.last {
            let earlier = report.samples.dropLast()
            let starts = [earlier.first { $0.answers == 2 }, earlier.first { 2 * $0.answers >= answers }]
            report.growth = starts.compactMap { $0 }.map { Growth(from: $0, to: last) }
        }
        Console.print(steering.format == .json ? try JSON.pretty(report) : text(report))
    }

    private func text(_ report: Report) -> String {
        func row(_ name: String, _ memory: ProcessMemory, _ text: (Double) -> String) -> [String] {
            [name, text(memory.resident), text(memory.peak)]
        }
        let samples = report.samples.map { sample in
            row(sample.answers == 0 ? "after loading" : "\(sample.answers)", sample.megabytes) { $0.fixed(1) }
        }
        let growth = report.growth.map { growth in
            row("growth per answer from \(growth.from) on", growth.megabytesPerAnswer) {
                $0.fixed(2, signed: true)
            }
        }
        return TextTable.text([["answers", "resident MB", "peak MB"]] + samples + growth)
    }
}
