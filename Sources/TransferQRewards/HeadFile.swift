import Foundation

/// Heads as small JSON files.
enum HeadFile {
    /// - Parameters:
    ///   - kind: what the file should be, for messages.
    ///   - command: what makes one.
    /// - Throws: ``RewardError/badHead(path:reason:)``.
    static func read<Head: Decodable>(_ path: String, kind: String, command: String) throws -> Head {
        // A pipe may never end, and what has been read of it cannot be read again.
        guard RegularFile.exists(path), let data = FileManager.default.contents(atPath: path) else {
            throw RewardError.badHead(path: path, reason: "there is no such file, or it cannot be read")
        }
        do { return try JSONDecoder().decode(Head.self, from: data) } catch {
            throw RewardError.badHead(path: path, reason: "it is no \(kind); make one with transferq \(command)")
        }
    }

    /// Refuses another format than `known`, and weights that do not fit their model.
    ///
    /// - Throws: ``RewardError/badHead(path:reason:)``.
    static func check(
        _ path: String, _ format: String, _ known: String, _ backbone: LinearHead.Backbone,
        _ pooling: LinearHead.Pooling, _ weights: [Float]
    ) throws {
        guard format == known else {
            throw RewardError.badHead(path: path, reason: "its format \(format) is not known to this version")
        }
        let expected = backbone.width.multipliedReportingOverflow(by: pooling == .both ? 2 : 1)
        guard backbone.width > 0, !expected.overflow, weights.count == expected.partialValue else {
            throw RewardError.badHead(
                path: path, reason: "it has \(weights.count) weights for a model of width \(backbone.width)")
        }
        guard weights.allSatisfy(\.isFinite) else {
            throw RewardError.badHead(path: path, reason: "a weight is not finite")
        }
    }

    /// Writes the file, complete or not at all.
    ///
    /// - Throws: ``RewardError/cannotWrite(path:reason:)``.
    static func write(_ value: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { try (encoder.encode(value) + Data("\n".utf8)).write(to: URL(filePath: path), options: .atomic) } catch {
            throw RewardError.cannotWrite(path: path, reason: error.localizedDescription)
        }
    }
}
