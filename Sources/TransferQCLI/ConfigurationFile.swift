import Foundation
import Yams

/// A configuration in YAML or JSON, read as JSON, which all specifications are made from.
enum ConfigurationFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter hint: what to write in a file that holds nothing.
    /// - Throws: ``Failure`` that names the file.
    static func json(_ path: String, hint: String) throws -> Data {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(description: "\(path) cannot be read; check the path and its permissions")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw Failure(description: "\(path) is not valid UTF-8; convert it, for example with iconv")
        }
        // JSON is YAML as well, but its own parser is stricter.
        if path.lowercased().hasSuffix(".json") { return data }
        let value: Any?
        do { value = try Yams.load(yaml: text) } catch { throw Failure(description: "\(path) is no YAML: \(error)") }
        guard let object = value as? [String: Any] else {
            throw Failure(description: "\(path) holds no keys; \(hint)")
        }
        guard JSONSerialization.isValidJSONObject(object) else {
            throw Failure(
                description:
                    "\(path) holds a value that is no text, number, list or object, such as a date; put it into quotes")
        }
        return try JSONSerialization.data(withJSONObject: object)
    }
}
