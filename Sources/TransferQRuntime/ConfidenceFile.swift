import Foundation
public import TransferQ

/// Calibrations of `confidence`, as small JSON files.
public enum ConfidenceFile {
    /// - Throws: ``RuntimeError/unusableFile(path:reason:)``.
    public static func read(_ path: String) throws -> ConfidenceCalibration {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw RuntimeError.unusableFile(
                path: path, reason: "cannot be read; name a file that transferq value confidence wrote")
        }
        do { return try JSONDecoder().decode(ConfidenceCalibration.self, from: data) } catch {
            let reason = (error as? TransferQError).map { "\($0)" } ?? "it is no calibration of --confidence"
            throw RuntimeError.unusableFile(
                path: path, reason: "cannot be used: \(reason); make one with transferq value confidence")
        }
    }

    /// Writes the file, complete or not at all.
    ///
    /// - Throws: ``RuntimeError/unusableFile(path:reason:)``.
    public static func write(_ calibration: ConfidenceCalibration, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        do {
            try (encoder.encode(calibration) + Data("\n".utf8)).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw RuntimeError.unusableFile(
                path: path, reason: "cannot be written (\(error.localizedDescription)); choose another file")
        }
    }
}

extension ConfiguredMethod {
    /// Whether it leaves candidates out that are unlikely to win.
    public var hasConfidence: Bool { parameters.contains { $0.name == "confidence" && $0.value != nil } }
}
