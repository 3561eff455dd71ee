import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

/// `transferq-bench gpu`: the engine on a card, or on whatever there is, with a model of random weights.
struct GPUCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gpu",
        abstract: "Measure the engine against bare llama.cpp and the published loop, on a model written on the spot.",
        discussion: """
            The model has random weights, which compute as fast as trained ones. Tokens per second are medians of rounds in \
            which both sides take turns on the same weights. The published loop reads the whole prompt anew for every \
            candidate, and rolls candidates out one after the other; here the bare llama.cpp loop does so. A step of \
            transfer-q makes one token; its reward is length:40.

              transferq-bench gpu
              transferq-bench gpu --parameters 1B --weights q8_0 --gpu-layers 10
            """)

    @Option(help: "Number of weights, about, with K, M or B behind it (default: 7B).", transform: Self.count)
    var parameters = 7_000_000_000
    @Option(help: "Format of the weights.") var weights: RandomModel.Format = .q4
    @Option(
        parsing: .unconditional,
        help: "Layers that a graphics processor computes (default: all, where there is one).")
    var gpuLayers: Int?
    @Option(help: "Format of keys and values (default: what suits the weights).")
    var cacheType: LlamaOptions.CacheType?
    @Option(help: "Threads (default: one for each processor).") var threads: Int?
    @Option(help: "Candidates of rollouts, split by commas (default: 1,10,40).", transform: Self.widths)
    var ks = [1, 10, 40]
    @Option(parsing: .unconditional, help: "Tokens of a rollout, its candidate included.") var horizon = 16
    @Option(parsing: .unconditional, help: "Seconds for everything; what does not fit in is left out.")
    var seconds = 450.0
    @Flag(help: "Keep the model file for another run.") var keep = false
    @Option(help: "text or json.") var format: OutputFormat = .text

    func validate() throws {
        guard (2...256).contains(horizon) else {
            throw ValidationError("--horizon must be between 2 and 256, not \(horizon)")
        }
        guard seconds >= 1, seconds <= 86_400 else {
            throw ValidationError("--seconds must be between 1 and 86400, not \(seconds)")
        }
        try validateThreads(threads)
    }

    /// `7B`, `500M`, `5000000`.
    private static func count(_ text: String) throws -> Int {
        let units: [Character: Double] = ["K": 1e3, "M": 1e6, "B": 1e9]
        let unit = text.last.flatMap { units[Character($0.uppercased())] }
        let number = Double(unit == nil ? text : String(text.dropLast())).map { $0 * (unit ?? 1) }
        guard let number, (1e6...2e11).contains(number) else {
            throw ValidationError("give a number between 1M and 200B, for example 7B or 500M")
        }
        return Int(number)
    }

    private static func widths(_ text: String) throws -> [Int] {
        let widths = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard !widths.isEmpty, widths.allSatisfy((1...200).contains) else {
            throw ValidationError("give whole numbers between 1 and 200, for example 1,10,40")
        }
        return widths
    }

    func run() async throws {
        let options = try LlamaOptions(gpuLayers: gpuLayers, cacheType: cacheType)
        let report = try await Interruption.cancellable { try await measure(options) }
        Console.print(format == .json ? try JSON.pretty(report) : report.text)
    }

    private func measure(_ options: LlamaOptions) async throws -> GPUReport {
        var limit = TimeLimit(seconds: seconds)
        let model = RandomModel(parameters: parameters, format: weights)
        var report = GPUReport(
            model: model, horizon: horizon, gpuLayers: LlamaLibrary.hasAccelerator ? gpuLayers : 0)
        let folder = ModelFiles.store.root.appending(path: "random", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let path = folder.appending(path: "llama-\(model.parameters)-\(weights.rawValue).gguf").path
        // Also where something goes wrong, or the program is interrupted.
        defer { if !keep { unlink(path) } }
        let before = DeviceMemory.now()
        if !FileManager.default.fileExists(atPath: path) {
            try Self.checkRoom(for: model.bytes, in: folder)
            let start = ContinuousClock.now
            guard try await limit.run("writing the model", { try model.write(to: path) }) != nil else {
                report.leftOut = limit.leftOut + ["everything else"]
                return report
            }
            report.secondsToWrite = (ContinuousClock.now - start) / .seconds(1)
        }
        let measurement = GPUMeasurement(
            path: path, library: ModelLibrary(store: ModelFiles.store, options: options) { Console.say($0) },
            threads: threads, horizon: horizon)
        for k in ks {
            if let row = try await limit.run("rollouts of \(k) candidates", { try await measurement.rollouts(k) }) {
                report.rollouts.append(row)
            }
        }
        for speedUps in [true, false] {
            let name = speedUps ? "steps of transfer-q" : "steps of transfer-q without speed-ups"
            if let step = try await limit.run(name, { try await measurement.step(speedUps: speedUps) }) {
                report.steps.append(step)
            }
        }
        report.leftOut = limit.leftOut
        report.memory = try ProcessMemory.now()
        report.devices = DeviceMemory.more(than: before)
        if keep { Console.say("kept \(path)") }
        return report
    }

    private static func checkRoom(for bytes: Int, in folder: URL) throws {
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
        guard let free = attributes[.systemFreeSize] as? Int, free < bytes else { return }
        throw UsageError(
            "the model takes \(bytes / 1_000_000) MB, and \(folder.path) has room for \(free / 1_000_000) MB; lower "
                + "--parameters, or name another folder with TRANSFERQ_CACHE")
    }
}
