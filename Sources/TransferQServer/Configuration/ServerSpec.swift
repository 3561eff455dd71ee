public import Foundation
import TransferQEvaluation
import TransferQRuntime

/// What a server offers.
///
/// JSON, and YAML in the same form:
///
///     {"presets": {"kind": {"reward": "head:harmless.json"}, "plain": {"method": "sample"}}, "default": "kind"}
public struct ServerSpec: Hashable, Sendable {
    /// By the names that clients give as `model`; at least one.
    public let presets: [String: PresetSpec]
    /// Of requests that name none.
    public let standard: String

    /// - Parameter standard: nil for the first by name.
    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)``.
    public init(presets: [String: PresetSpec], standard: String? = nil) throws {
        func fail(_ reason: String) -> RuntimeError { .invalidSpecification(what: "configuration", reason: reason) }
        guard let first = presets.keys.min() else {
            throw fail("it holds no preset; write at least one under presets:, for example plain: {method: sample}")
        }
        if let name = presets.keys.sorted().first(where: { $0.wholeMatch(of: /[A-Za-z0-9][\w.@\/-]{0,99}/) == nil }) {
            throw fail(
                "\"\(name)\" is no name for a preset; take up to 100 letters, digits and ._@/- that begin with a letter "
                    + "or a digit")
        }
        if let standard, presets[standard] == nil {
            throw fail(
                "default names no preset \"\(standard)\"; it is one of \(presets.keys.sorted().joined(separator: ", "))"
            )
        }
        self.presets = presets
        self.standard = standard ?? first
    }

    /// Reads a configuration in JSON.
    ///
    /// - Parameter path: of the file, for messages.
    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` that names the file and the place in it.
    public init(json: Data, path: String) throws {
        do { self = try JSON.decoder.decode(ServerSpec.self, from: json) } catch {
            throw RuntimeError.invalidSpecification(what: "configuration \(path)", reason: JSONBody.sentence(error))
        }
    }
}

extension ServerSpec: Decodable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case presets
        case standard = "default"
    }

    public init(from decoder: any Decoder) throws {
        try RuntimeError.checkKeys(of: decoder, known: Set(CodingKeys.allCases.map(\.rawValue)), what: "configuration")
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            presets: container.decode([String: PresetSpec].self, forKey: .presets),
            standard: container.decodeIfPresent(String.self, forKey: .standard))
    }
}
