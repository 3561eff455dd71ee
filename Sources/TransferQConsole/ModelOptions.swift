public import ArgumentParser
import Foundation
public import TransferQ
public import TransferQLlama
package import TransferQRuntime

/// Which models take part.
package struct ModelOptions: ParsableArguments {
    @Option(help: "The reference policy: a known name or a GGUF file (default: the demonstration model).")
    package var model: String?

    @Option(help: "The baseline: another GGUF file or known name with the same vocabulary.")
    package var baseline: String?

    @Option(help: "The baseline: a system prompt for the same weights (or for --baseline).")
    package var baselineSystem: String?

    @Option(help: "The baseline: a LoRA adapter (GGUF) on the same weights.")
    package var baselineLora: String?

    @Option(help: .rare("Threads (default: one for each processor)."))
    package var threads: Int?

    @Option(
        parsing: .unconditional,
        help: .rare("Layers that a graphics processor computes (default: all, where there is one)."))
    package var gpuLayers: Int?

    @Option(
        parsing: .unconditional,
        help: .rare("Longest prompt with its answer, in tokens (default: what the model was trained on)."))
    package var context: Int?

    @Option(
        help: .rare(
            """
            Format of keys and values: \(LlamaOptions.CacheType.allCases.map(\.rawValue).joined(separator: ", ")) \
            (default: what suits the weights).
            """))
    package var cacheType: LlamaOptions.CacheType?

    @Option(
        help: .rare(
            "What a chat template is told that asks for the date (default: now).",
            valueName: "YYYY-MM-DD[THH:MM[:SS]]"))
    package var date: TemplateDate?

    package init() {}

    package func validate() throws {
        if baseline != nil, baselineLora != nil {
            throw ValidationError(
                "give --baseline or --baseline-lora, not both: an adapter goes on the reference's weights")
        }
        try validateThreads(threads)
    }

    /// What loads the models.
    package func engine() throws -> LlamaEngine {
        LlamaEngine(
            library: ModelFiles.library(
                try LlamaOptions(gpuLayers: gpuLayers, contextLength: context, cacheType: cacheType)),
            threads: threads, templateDate: date)
    }

    /// The baseline that the options name; nil for none.
    package func baselineSpec() throws -> BaselineSpec? {
        guard baseline != nil || baselineLora != nil || baselineSystem != nil else { return nil }
        return try BaselineSpec(model: baseline.map(ModelSpec.init), adapter: baselineLora, system: baselineSystem)
    }

    /// The models in this process, loaded.
    package func load() async throws -> LlamaModels {
        try await engine().load(try model.map(ModelSpec.init), baseline: baselineSpec())
    }

    /// The models as options say, with rewards whose programs and servers may take so many seconds for a batch.
    package func runtime(rewardTimeout: Double = 60) throws -> Runtime {
        try runtime(model.map(ModelSpec.init), baseline: baselineSpec(), rewardTimeout: rewardTimeout)
    }

    /// As ``runtime(rewardTimeout:)`` with other models than those of the options.
    ///
    /// - Parameter capacity: what answers may take together that come one by one.
    package func runtime(
        _ model: ModelSpec?, baseline: BaselineSpec?, rewardTimeout: Double, capacity: RuntimeCapacity? = nil
    ) throws -> Runtime {
        Runtime(
            engine: try engine(), model: model, baseline: baseline, rewardTimeout: rewardTimeout,
            heads: ModelFiles.heads, capacity: capacity)
    }
}

package func validateTimeout(_ seconds: Double) throws {
    guard seconds.isFinite, seconds > 0, seconds <= 86_400 else {
        throw ValidationError("--reward-timeout must be above 0 and at most 86400 seconds, not \(seconds)")
    }
}

package func validateThreads(_ threads: Int?) throws {
    if let threads, !(1...1024).contains(threads) {
        throw ValidationError("--threads must be between 1 and 1024, not \(threads)")
    }
}

extension TemplateDate: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension LlamaOptions.CacheType: ExpressibleByArgument {}
extension Guidance.Tilt: ExpressibleByArgument {}

extension ArgumentHelp {
    /// Of an option that `--help` leaves to `--help-hidden`.
    package static func rare(_ abstract: String, valueName: String? = nil) -> ArgumentHelp {
        // What is hidden is left out of the parser's errors and suggestions as well, so it is so for help alone.
        ArgumentHelp(abstract, valueName: valueName, visibility: Program.isAskedForHelp ? .hidden : .default)
    }
}

package enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    case text, json
}

extension AnswerEvent {
    /// Says on standard error what a person should know; a sentence that comes with many answers is said once.
    package func say() {
        switch self {
        case .notice(let sentence): Console.sayOnce(sentence)
        case .failure(let error): Console.say("error: \(error)")
        case .step, .finished: break
        }
    }
}
