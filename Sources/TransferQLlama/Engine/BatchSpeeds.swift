import Foundation
import TransferQ

/// How fast a model decodes batches here, and what follows for the batches of rollouts: measured once for each model file, way
/// of loading it and number of threads, and kept, so that the same command does the same work again.
///
/// On the processor alone attention goes as matrices and answers run in lanes, which is faster wherever it was measured
/// (docs/benchmarks.md); with layers on a graphics processor both are measured as well.
public struct BatchSpeeds: Codable, Sendable {
    /// Tokens per second of batches with attention as matrices, by their tokens: one of each sequence, behind a common
    /// prompt.
    public let speeds: [Int: Double]
    /// The same with flash attention; nil where it was not measured.
    public let flash: [Int: Double]?
    /// Tokens per second of a lane for each thread, all computing at the same time; nil where it was not measured.
    public let lanes: Double?

    package init(speeds: [Int: Double], flash: [Int: Double]? = nil, lanes: Double? = nil) {
        self.speeds = speeds
        self.flash = flash
        self.lanes = lanes
    }

    /// The faster way of attention for the rollouts of one answer.
    public var attention: LlamaContext.Attention {
        (flash?.values.max() ?? 0) > (speeds.values.max() ?? 0) ? .flash : .matrix
    }

    private var chosen: [Int: Double] { attention == .flash ? flash ?? speeds : speeds }

    /// The least width that has nearly the speed of the fastest.
    public var best: Int {
        let fastest = chosen.values.max() ?? 0
        return chosen.filter { $0.value >= Self.enough * fastest }.keys.min() ?? DecodingTask.mostWidth
    }

    /// Whether several answers with wide batches are faster in lanes of their own than in common batches.
    public var prefersLanes: Bool { lanes.map { $0 > (chosen.values.max() ?? 0) } ?? true }

    private static let enough = 0.85
    private static let widths = [1, 2, 4, 6, 8, 12, 16, 24, 32, 40]
    /// A graphics processor is not busy with forty.
    private static let moreWidths = [64, 96, 128, 192]

    /// The speeds of a model, from an earlier measurement if there is one.
    ///
    /// - Parameters:
    ///   - threads: one for each processor when nil.
    ///   - isWhole: whether to measure flash attention, wide batches and lanes as well.
    /// - Throws: ``LlamaError``, or `CancellationError`.
    public static func of(
        _ model: LlamaModel, threads: Int?, store: ModelStore, isWhole: Bool
    ) async throws -> BatchSpeeds {
        let folder = store.root.appending(path: "speeds", directoryHint: .isDirectory)
        let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
        let key = try GGUFFile.identity([model.path], model.options.key)
        let file = folder.appending(path: "\(key)-\(count)\(isWhole ? "-whole" : "").json")
        if let data = FileManager.default.contents(atPath: file.path),
            let known = try? JSONDecoder().decode(BatchSpeeds.self, from: data)  // a damaged file is measured anew
        {
            return known
        }
        return keep(try await measure(model, threads: count, isWhole: isWhole), in: file)
    }

    /// The speeds of a model, whole where a graphics processor computes layers of it.
    public static func of(_ model: LlamaModel, threads: Int?, store: ModelStore) async throws -> BatchSpeeds {
        try await of(model, threads: threads, store: store, isWhole: model.isOffloaded)
    }

    /// Writes what was measured where nothing is kept yet, or something damaged.
    ///
    /// - Returns: what counts from now on: of two programs that measured at the same time, the first one's figures.
    private static func keep(_ speeds: BatchSpeeds, in file: URL) -> BatchSpeeds {
        let folder = file.deletingLastPathComponent()
        let own = folder.appending(path: "\(UUID().uuidString).partial")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try JSONEncoder().encode(speeds).write(to: own)
        } catch { return speeds }  // it is only measured again next time
        defer { unlink(own.path) }
        // Unlike a rename, a link takes nobody's place.
        if link(own.path, file.path) == 0 { return speeds }
        if let data = FileManager.default.contents(atPath: file.path),
            let kept = try? JSONDecoder().decode(BatchSpeeds.self, from: data)  // a damaged file gives way
        {
            return kept
        }
        rename(own.path, file.path)
        return speeds
    }

    private static func measure(_ model: LlamaModel, threads: Int, isWhole: Bool) async throws -> BatchSpeeds {
        let all = isWhole ? widths + moreWidths : widths
        let speeds = try await speeds(model, .matrix, widths: all, threads: threads)
        guard isWhole else { return BatchSpeeds(speeds: speeds) }
        let measured = BatchSpeeds(
            speeds: speeds, flash: try await self.speeds(model, .flash, widths: all, threads: threads))
        let (attention, width) = (measured.attention, measured.best)
        let lanes = try await withThrowingTaskGroup(of: Double.self) { tasks in
            for _ in 0..<threads {
                tasks.addTask { try await self.speeds(model, attention, widths: [width], threads: 1)[width] ?? 0 }
            }
            return try await tasks.reduce(0, +)
        }
        return BatchSpeeds(speeds: speeds, flash: measured.flash, lanes: lanes)
    }

    private static func speeds(
        _ model: LlamaModel, _ attention: LlamaContext.Attention, widths: [Int], threads: Int
    ) async throws -> [Int: Double] {
        try await InferenceLane.$current.withValue(InferenceLane(threads: threads)) {
            let most = widths.max() ?? 1
            let context = try await LlamaContext(
                model: model,
                configuration: .init(cells: 128 + 2 * most + 304, sequences: most + 1, attention: attention))
            let seconds = try await context.secondsOfBatches(widths: widths)
            return Dictionary(uniqueKeysWithValues: seconds.map { ($0, Double($0) / $1) })
        }
    }
}

extension LlamaContext {
    /// The shortest time of a batch of every width; takes as long as some 400 tokens, or a few seconds.
    fileprivate func secondsOfBatches(widths: [Int]) async throws -> [Int: Double] {
        let size = model.tokenizer.size
        func token(_ number: Int) -> Token { Token((number * 97 + 11) % size) }
        let prompt = try cache.lease()
        let length = 64
        try await queue.decode(
            (0..<length).map { .init(token: token($0), position: $0, sequence: prompt, isOutput: false) },
            signal: AbortSignal()
        ) { _, _ in }
        let clock = ContinuousClock()
        let start = clock.now
        var seconds: [Int: Double] = [:]
        for round in 0..<4 where round < 2 || (clock.now - start) < .seconds(3) {
            for width in widths {
                try Task.checkCancellation()
                let entries = try (0..<width).map { index in
                    DecodeWork.Entry(
                        token: token(round + index), position: length,
                        sequence: try cache.fork(prompt, length: length), isOutput: true)
                }
                let begin = clock.now
                try await queue.decode(entries, signal: AbortSignal()) { _, _ in }
                // Caches fill in the first round.
                if round > 0 { seconds[width] = min(seconds[width] ?? .infinity, (clock.now - begin) / .seconds(1)) }
            }
        }
        return seconds
    }
}
