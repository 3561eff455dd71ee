import Foundation
import Synchronization
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRandomModels
import TransferQRuntime

/// What `transferq-bench gpu` measures.
struct GPUMeasurement: Sendable {
    let path: String
    let library: ModelLibrary
    let threads: Int?
    /// Decoded tokens of a rollout, its candidate included.
    let horizon: Int

    /// Tokens per second of rollouts, medians over the rounds.
    struct Rollouts: Encodable {
        let k: Int
        let rounds: Int
        let engine: Double
        let bareLoop: Double
        /// Of candidates rolled out one after the other, the prompt read anew for each; prompts are not counted.
        let publishedLoop: Double
        /// Median over the rounds of engine / bare loop.
        let ratio: Double
    }

    /// What a token of transfer-q costs.
    struct Step: Encodable {
        let speedUps: Bool
        let tokens: Int
        let secondsPerToken: Double
    }

    static let stepWidth = 10
    private static let question = "What should I think about when I plan a small garden behind my house?"
    private var messages: [Message] { [Message(role: "user", content: Self.question)] }

    /// Rounds end behind the fifth, or the first that ends after so many seconds.
    private static let (mostRounds, enough) = (5, Duration.seconds(20))

    func rollouts(_ k: Int) async throws -> Rollouts {
        let model = try await library.load(path)
        let prompt = try model.prompt(for: messages)
        let sides = try await RolloutSides(model, prompt: prompt, k: k, horizon: horizon, threads: threads)
        let start = ContinuousClock.now
        var (engine, bare, alone) = ([Double](), [Double](), [Double]())
        // Caches fill.
        _ = try sides.bareLoop()
        _ = try await sides.engine()
        while engine.count < Self.mostRounds, engine.isEmpty || ContinuousClock.now - start < Self.enough {
            bare.append(try sides.bareLoop().speed)
            engine.append(try await sides.engine().speed)
            alone.append(try sides.secondsAlone())
        }
        return Rollouts(
            k: k, rounds: engine.count, engine: median(engine), bareLoop: median(bare),
            publishedLoop: Double(horizon) / median(alone), ratio: median(zip(engine, bare).map { $0 / $1 }))
    }

    private static let (mostSteps, enoughOfSteps) = (16, Duration.seconds(40))

    /// Ends an answer of which enough has been measured.
    private struct Enough: Error {}

    /// The first steps of an answer, from when the prompts have been read.
    func step(speedUps: Bool) async throws -> Step {
        let runtime = Runtime(
            engine: LlamaEngine(library: library, threads: threads), model: try ModelSpec(path),
            baseline: .system("You are a careful and kind assistant."))
        // A rollout decodes its candidate as well.
        var parameters: [String: ParameterValue] = [
            "k": .integer(Self.stepWidth), "horizon": .integer(horizon - 1), "choice": "greedy",
        ]
        if !speedUps { parameters["without"] = "all" }
        let request = try AnswerRequest(
            messages: messages, method: MethodSpec(TransferQDirect.name, parameters),
            scoring: ScoringSpec(reward: RewardSpec(["length:40"])),
            // Rollouts end where the answer must, so that it is longer than what is measured of it.
            limits: AnswerLimits(maximumTokens: Self.mostSteps + horizon), seed: 1)
        let prompt = try await runtime.prepare(request).open(0)
        try await prompt.readPrompts()
        let start = ContinuousClock.now
        let measured = Mutex((tokens: 0, duration: Duration.zero))
        do {
            _ = try await prompt.answer(by: request.method.configured(), isWhole: true) { event in
                event.say()
                guard case .step(let step) = event else { return }
                let (tokens, duration) = measured.withLock { measured in
                    measured = (measured.tokens + step.decision.tokens.count, ContinuousClock.now - start)
                    return measured
                }
                if tokens >= Self.mostSteps || duration > Self.enoughOfSteps { throw Enough() }
            }
        } catch is Enough {}
        let (tokens, duration) = measured.withLock { $0 }
        return Step(speedUps: speedUps, tokens: tokens, secondsPerToken: duration / .seconds(max(1, tokens)))
    }
}

/// What came of it.
struct GPUReport: Encodable {
    struct Model: Encodable {
        let parameters: Int
        let format: String
        let layers: Int
        let width: Int
        let bytes: Int
    }

    let model: Model
    let horizon: Int
    /// All of them where nil.
    let gpuLayers: Int?
    /// Nil where the file was there.
    var secondsToWrite: Double?
    var rollouts: [GPUMeasurement.Rollouts] = []
    var steps: [GPUMeasurement.Step] = []
    /// Nil where nothing was measured.
    var memory: ProcessMemory?
    /// Beyond what was used before.
    var devices: [DeviceMemory] = []
    var leftOut: [String] = []

    init(model: RandomModel, horizon: Int, gpuLayers: Int?) {
        self.model = Model(
            parameters: model.parameters, format: model.format.rawValue, layers: model.shape.layers,
            width: model.shape.width, bytes: model.bytes)
        self.horizon = horizon
        self.gpuLayers = gpuLayers
    }

    /// Seconds of the rollouts of one step where nothing is saved, by who makes them.
    private var fullSteps: [(name: String, seconds: Double)] {
        guard let row = rollouts.first(where: { $0.k == GPUMeasurement.stepWidth }) else { return [] }
        let tokens = Double(row.k * horizon)
        return [
            ("bare llama.cpp, rollouts in one batch", tokens / row.bareLoop),
            ("published loop, rollouts one by one", tokens / row.publishedLoop),
        ]
    }

    var text: String {
        let millions = Double(model.parameters) / 1e6
        let size =
            (millions < 1000 ? "\(millions.significant(3)) million" : "\((millions / 1000).significant(3)) billion")
            + " weights in \(model.format)"
        let written = secondsToWrite.map { ", written in \($0.fixed(1)) s" } ?? ""
        var lines = [
            "\(size), \(model.layers) layers of width \(model.width), \((Double(model.bytes) / 1e6).fixed(0)) MB"
                + written,
            "layers on a graphics processor: \(gpuLayers.map(String.init) ?? "all")",
        ]
        if !rollouts.isEmpty {
            let head = [
                "rollout tokens/s", "engine", "bare llama.cpp", "engine / bare", "published loop", "engine / loop",
            ]
            let rows = rollouts.map { row in
                [
                    "k = \(row.k)", row.engine.fixed(1), row.bareLoop.fixed(1), row.ratio.fixed(3),
                    row.publishedLoop.fixed(1), (row.engine / row.publishedLoop).fixed(2),
                ]
            }
            lines += ["", TextTable.text([head] + rows)]
        }
        if let exact = steps.first {
            let engine = steps.map { step in
                (step.speedUps ? "transfer-q" : "transfer-q without speed-ups", step.secondsPerToken)
            }
            let rows = (engine + fullSteps).map { name, seconds in
                [name, seconds.fixed(3), (seconds / exact.secondsPerToken).fixed(2)]
            }
            lines += [
                "", TextTable.text([["step, k = \(GPUMeasurement.stepWidth)", "seconds", "times the first"]] + rows),
            ]
        }
        if let memory {
            lines += ["", "memory of the process: \(memory.resident.fixed(0)) MB, at most \(memory.peak.fixed(0)) MB"]
        }
        for device in devices {
            lines.append("memory of \(device.device): \(device.used.fixed(0)) MB more than before")
        }
        if !leftOut.isEmpty { lines += ["", "left out, as the time was up: " + leftOut.joined(separator: "; ")] }
        return lines.joined(separator: "\n")
    }
}
