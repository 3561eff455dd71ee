import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama

/// Greedy rollouts of the same candidates behind the same prompt, by the engine and by a bare llama.cpp loop.
struct RolloutSides {
    let starts: [Token]
    let horizon: Int
    private let policy: LlamaPolicy
    private let bare: BareLoop

    /// What one way to roll out came to.
    struct Outcome {
        /// Tokens decoded a second.
        let speed: Double
        let rollouts: [[Token]]
    }

    /// - Parameters:
    ///   - k: candidates.
    ///   - horizon: decoded tokens of a rollout, its candidate included.
    ///   - threads: one for each processor when nil.
    init(_ model: LlamaModel, prompt: [Token], k: Int, horizon: Int, threads: Int?) async throws {
        // The loop that reuses nothing reads the prompt a second time.
        let configuration = LlamaContext.Configuration(
            cells: 2 * prompt.count + k * horizon + 64, sequences: k + 1, threads: threads)
        policy = try await LlamaPolicy(
            context: LlamaContext(model: model, configuration: configuration), prompt: prompt)
        starts = try await policy.propose(after: [], count: 3 * k).map(\.token)
            .filter { !model.tokenizer.isEnd($0) }.prefix(k).map { $0 }
        self.horizon = horizon
        guard let bare = BareLoop(model: model, prompt: prompt, configuration: configuration) else {
            throw UsageError("the bare loop could not set up llama.cpp; lower --k or --horizon")
        }
        self.bare = bare
    }

    /// The engine proposes the candidates and rolls them out.
    func engine() async throws -> Outcome {
        let request = RolloutRequest(
            response: [], prefixes: starts.map { [$0] }, count: 1, maximumLength: horizon, sampling: .greedy,
            noise: Noise(seed: 0))
        let start = ContinuousClock.now
        _ = try await policy.propose(after: [], count: starts.count)
        let rollouts = try await policy.rollOut(request).joined().map(\.tokens)
        return Outcome(
            speed: Double(rollouts.reduce(0) { $0 + $1.count }) / Self.seconds(since: start), rollouts: rollouts)
    }

    /// All candidates in one batch a position.
    func bareLoop() throws -> Outcome {
        let start = ContinuousClock.now
        guard let rollouts = bare.rollOut(starts: starts, length: horizon) else { throw try failure() }
        return Outcome(speed: Double(starts.count * horizon) / Self.seconds(since: start), rollouts: rollouts)
    }

    /// Seconds for one candidate that is rolled out alone, the prompt read anew: what the published loop does for each.
    func secondsAlone() throws -> Double {
        let start = ContinuousClock.now
        guard bare.rollOutAnew(start: starts[0], length: horizon) != nil else { throw try failure() }
        return Self.seconds(since: start)
    }

    private func failure() throws -> UsageError {
        try Task.checkCancellation()
        return UsageError("llama.cpp failed in the bare loop; lower --k or --horizon")
    }

    private static func seconds(since start: ContinuousClock.Instant) -> Double {
        (ContinuousClock.now - start) / .seconds(1)
    }
}
