import Foundation
import TransferQEvaluation

/// A configuration file of `evaluate`, in YAML or JSON.
enum EvaluationFile {
    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` that names the file and the place in it.
    static func read(_ path: String) throws -> EvaluationSpec {
        let hint = "write at least prompts: and methods: in it (see Examples/Evaluation)"
        let json: Data
        do { json = try ConfigurationFile.json(path, hint: hint) } catch let failure as ConfigurationFile.Failure {
            throw EvaluationError.invalidSpecification(failure.description)
        }
        return try EvaluationSpec(json: json, path: path)
    }
}
