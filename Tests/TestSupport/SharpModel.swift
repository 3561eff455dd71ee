import Foundation
public import TransferQ
public import TransferQLlama

/// A random model in 32 bits whose distributions are sharp, so that rounding decides no choice: what two ways to compute
/// the same thing choose must be equal. A token takes microseconds.
public struct SharpModel: Sendable {
    public let model: LlamaModel
    public let seed: UInt64
    /// The weights, by the names of their tensors.
    public let weights: [String: [Float]]
    private let folder: TemporaryFolder

    public init(seed: UInt64) async throws {
        folder = try TemporaryFolder()
        weights = try ModelWriter.tinyModel(to: folder.file("sharp.gguf"), seed: 1000 * (seed + 1), shape: .sharp)
        model = try await LlamaModel(path: folder.file("sharp.gguf").path)
        self.seed = seed
    }

    /// A context that computes in 32 bits.
    public func context(cells: Int = 2048, sequences: Int = 64) async throws -> LlamaContext {
        try await LlamaContext(
            model: model, configuration: .init(cells: cells, sequences: sequences, attention: .precise))
    }

    /// Random tokens, none of them a marker or an end.
    public func tokens(_ number: Int, count: Int) -> [Token] {
        let noise = Noise(seed: seed).derived(number)
        return (0..<count).map { Token(3 + Int(noise.derived($0).uniform * 256)) }
    }

    /// A prompt of 2 to 13 random tokens.
    public func prompt(_ number: Int) -> [Token] { tokens(1000 + number, count: 2 + number * 7 % 12) }

    /// A policy of a random prompt.
    public func policy(_ number: Int, in context: LlamaContext, rolloutLimit: Int = .max) async throws -> LlamaPolicy {
        try await LlamaPolicy(context: context, prompt: prompt(number), rolloutLimit: rolloutLimit)
    }

    /// A question with two prompts, one the reference's and one the baseline's.
    public func task(
        _ number: Int, in context: LlamaContext, reward: any RewardModel, length: Int, rolloutLimit: Int = .max
    ) async throws -> DecodingTask {
        try await DecodingTask(
            reference: policy(2 * number, in: context, rolloutLimit: rolloutLimit),
            baseline: policy(2 * number + 1, in: context, rolloutLimit: rolloutLimit), reward: reward,
            maximumLength: length,
            seed: seed + UInt64(number))
    }
}

/// A random reward of texts that are alike where the texts are: the mean of a random number for each letter and place.
public struct SmoothReward: RewardModel {
    public let name = "smooth"
    public let range: ClosedRange<Double>?
    private let noise: Noise

    /// - Parameter hasRange: whether the reward says that it lies between 0 and 1.
    public init(seed: UInt64, hasRange: Bool = true) {
        noise = Noise(seed: seed)
        range = hasRange ? 0...1 : nil
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { completion in
            let parts = completion.text.utf8.enumerated().map { place, letter in
                noise.derived(place).derived(Int(letter)).uniform
            }
            return parts.isEmpty ? 0.5 : parts.reduce(0, +) / Double(parts.count)
        }
    }
}
