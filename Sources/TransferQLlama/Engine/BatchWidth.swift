import Foundation
import TransferQ

/// How wide a batch of rollouts is worth being: measured once for each model file and number of threads, and kept, so that
/// the same command does the same work again.
public struct BatchWidth: Codable, Sendable {
    /// Tokens per second of batches, by their tokens: one of each sequence, behind a common prompt.
    public let speeds: [Int: Double]

    /// The least width that has nearly the speed of the fastest.
    public var best: Int {
        let fastest = speeds.values.max() ?? 0
        return speeds.filter { $0.value >= Self.enough * fastest }.keys.min() ?? DecodingTask.mostWidth
    }

    private static let enough = 0.85
    private static let widths = [1, 2, 4, 6, 8, 12, 16, 24, 32, 40]

    /// The width of a model, from an earlier measurement if there is one.
    ///
    /// - Parameter threads: one for each processor when nil.
    /// - Throws: ``LlamaError``, or `CancellationError`.
    public static func of(_ model: LlamaModel, threads: Int?, store: ModelStore) async throws -> BatchWidth {
        let folder = store.root.appending(path: "speeds", directoryHint: .isDirectory)
        let count = threads ?? ProcessInfo.processInfo.activeProcessorCount
        let file = folder.appending(path: "\(try GGUFFile.identity([model.path]))-\(count).json")
        if let data = FileManager.default.contents(atPath: file.path),
            let known = try? JSONDecoder().decode(BatchWidth.self, from: data)  // a damaged file is measured anew
        {
            return known
        }
        let width = try await InferenceLane.$current.withValue(InferenceLane(threads: count)) {
            try await measure(model)
        }
        return keep(width, in: file)
    }

    /// Writes what was measured where nothing is kept yet, or something damaged.
    ///
    /// - Returns: what counts from now on: of two programs that measured at the same time, the first one's figures.
    private static func keep(_ width: BatchWidth, in file: URL) -> BatchWidth {
        let folder = file.deletingLastPathComponent()
        let own = folder.appending(path: "\(UUID().uuidString).partial")
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try JSONEncoder().encode(width).write(to: own)
        } catch { return width }  // it is only measured again next time
        defer { unlink(own.path) }
        // Unlike a rename, a link takes nobody's place.
        if link(own.path, file.path) == 0 { return width }
        if let data = FileManager.default.contents(atPath: file.path),
            let kept = try? JSONDecoder().decode(BatchWidth.self, from: data)  // a damaged file gives way
        {
            return kept
        }
        rename(own.path, file.path)
        return width
    }

    private static func measure(_ model: LlamaModel) async throws -> BatchWidth {
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 512, sequences: (widths.max() ?? 1) + 1, attention: .matrix))
        let seconds = try await context.secondsOfBatches(widths: widths)
        return BatchWidth(speeds: Dictionary(uniqueKeysWithValues: seconds.map { ($0, Double($0) / $1) }))
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
