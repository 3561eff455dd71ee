import Foundation
import TransferQConsole
import TransferQEvaluation
import Yams

/// A configuration file of `evaluate`, in YAML or JSON.
enum EvaluationFile {
    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` that names the file and the place in it.
    static func read(_ path: String) throws -> EvaluationSpec {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw EvaluationError.invalidSpecification("\(path) cannot be read; check the path and its permissions")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw EvaluationError.invalidSpecification("\(path) is not valid UTF-8; convert it, for example with iconv")
        }
        // JSON is YAML as well, but its own parser is stricter.
        let json = path.lowercased().hasSuffix(".json") ? data : try json(of: text, path: path)
        return try EvaluationSpec(json: json, path: path)
    }

    /// The same values in JSON, which all specifications are read from.
    private static func json(of yaml: String, path: String) throws -> Data {
        let value: Any?
        do { value = try Yams.load(yaml: yaml) } catch {
            throw EvaluationError.invalidSpecification("\(path) is no YAML: \(error)")
        }
        guard let object = value as? [String: Any] else {
            throw EvaluationError.invalidSpecification(
                "\(path) holds no keys; write at least prompts: and methods: in it (see Examples/Evaluation)")
        }
        guard JSONSerialization.isValidJSONObject(object) else {
            throw EvaluationError.invalidSpecification(
                "\(path) holds a value that is no text, number, list or object, such as a date; put it into quotes")
        }
        return try JSONSerialization.data(withJSONObject: object)
    }
}
