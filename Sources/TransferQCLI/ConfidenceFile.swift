import Foundation
import TransferQ

/// Calibrations of `--confidence`, as small JSON files.
enum ConfidenceFile {
    /// - Throws: `UsageError` that names the file.
    static func read(_ path: String) throws -> ConfidenceCalibration {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw UsageError("\(path) cannot be read; name a file that transferq value confidence wrote")
        }
        do { return try JSONDecoder().decode(ConfidenceCalibration.self, from: data) } catch {
            let reason = (error as? TransferQError).map { "\($0)" } ?? "it is no calibration of --confidence"
            throw UsageError("\(path) cannot be used: \(reason); make one with transferq value confidence")
        }
    }

    /// Writes the file, complete or not at all.
    static func write(_ calibration: ConfidenceCalibration, to path: String) throws {
        let text = try JSON.pretty(calibration) + "\n"
        do { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) } catch {
            throw UsageError("\(path) cannot be written: \(error.localizedDescription); choose another file")
        }
    }
}

extension ConfiguredMethod {
    /// Whether it leaves candidates out that are unlikely to win.
    var hasConfidence: Bool { parameters.contains { $0.name == "confidence" && $0.value != nil } }
}
