import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// `compare --prompts`: an evaluation whose configuration stands in the options.
struct PromptSetComparison {
    let command: CompareCommand
    let methods: [MethodEntry]
    /// The prompts.
    let file: String

    func run() async throws {
        let (prompt, answer, set) = (command.prompt, command.answer, command.set)
        guard prompt.prompt == nil, prompt.file == nil, prompt.messages == nil, !prompt.raw,
            command.format != .html, !command.showCandidates
        else { throw UsageError("--prompts goes without another prompt, --raw, --show-candidates and --format html") }
        guard !answer.reward.isEmpty else { throw TransferQError.missingReward(method: "compare --prompts") }
        let specification = try specification()
        let count = try await Interruption.cancellable {
            try await specification.prompts.count(in: ModelFiles.store) { Console.sayOnce($0) }
        }
        guard count >= 2 else {
            throw UsageError("\(file) has one prompt; give at least two, or the prompt itself without --prompts")
        }
        let folder = RunFolder(set.output ?? Self.temporaryFolder())
        defer {
            // What is left in a temporary folder goes with the system's next cleaning.
            if set.output == nil { try? FileManager.default.removeItem(at: folder.url) }
        }
        let known =
            FileManager.default.fileExists(atPath: folder.specificationFile.path) ? try folder.answers().count : 0
        if known > 0 { Console.say("\(known) answers are there already") }
        let makeRuntime = try makeRuntime()
        let run = EvaluationRun(
            specification, folder: folder, program: TransferQCommand.configuration.version, makeRuntime: makeRuntime)
        let scoring = EvaluationScoring(folder, makeRuntime: makeRuntime)
        let counter = Counter()
        try await Interruption.cancellable {
            try await scoring.check(specification)
            _ = try await run.makeAnswers { counter.show($0) }
            _ = try await scoring.run { counter.show($0) }
        }
        // The folder may hold other methods as well; the table is about those that were asked for.
        var record = try folder.specification()
        record.specification = specification
        let table = try EvaluationTable(
            record, answers: folder.answers(), gold: folder.gold(), metrics: folder.metrics())
        Console.print(command.format == .json ? try JSON.pretty(table) : table.text)
    }

    private func specification() throws -> EvaluationSpec {
        let (answer, set) = (command.answer, command.set)
        var specification = try EvaluationSpec(
            prompts: try PromptSource(
                file: file, limit: set.limit, system: command.prompt.system, skipBroken: set.records.skipBroken,
                ignoredKeys: set.records.ignoredKeys), methods: methods)
        specification.model = try command.models.model.map(ModelSpec.init)
        specification.baselines = try set.baselines
        if let own = try command.models.baselineSpec() { specification.baselines["baseline"] = own }
        let request = try answer.request([Message(role: "user", content: ".")], method: methods[0].method)
        specification.scoring = request.scoring
        specification.limits = request.limits
        specification.gold = try set.goldRewards
        specification.seeds = try set.seedList ?? [answer.seed]
        return try specification.checked()
    }

    private func makeRuntime() throws -> @Sendable (ModelSpec?, BaselineSpec?) -> Runtime {
        let (engine, timeout) = (try command.models.engine(), command.answer.rewardTimeout)
        return { model, baseline in
            Runtime(engine: engine, model: model, baseline: baseline, rewardTimeout: timeout, heads: ModelFiles.heads)
        }
    }

    private static func temporaryFolder() -> String {
        FileManager.default.temporaryDirectory.appending(path: "transferq-compare-\(UUID().uuidString)").path
    }
}
