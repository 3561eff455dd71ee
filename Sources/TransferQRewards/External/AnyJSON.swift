import Foundation

/// JSON whose form is not known beforehand. Booleans are no numbers.
package enum AnyJSON: Decodable, Equatable, CustomStringConvertible {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([AnyJSON])
    case object([String: AnyJSON])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {  // whatever is not of one kind is of another
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {  // as above
            self = .number(value)
        } else if let value = try? container.decode(String.self) {  // as above
            self = .string(value)
        } else if let value = try? container.decode([AnyJSON].self) {  // as above
            self = .array(value)
        } else {
            self = .object(try container.decode([String: AnyJSON].self))
        }
    }

    /// Python writes numbers that are none as NaN and Infinity, which is no JSON; they are read, to be judged by name later.
    ///
    /// - Throws: ``ReplyError/notJSON(_:)``.
    static func decoded(_ data: Data) throws -> AnyJSON {
        let decoder = JSONDecoder()
        do { return try decoder.decode(AnyJSON.self, from: data) } catch {
            decoder.allowsJSON5 = true
            // What JSON5 cannot read either is refused right here.
            guard let value = try? decoder.decode(AnyJSON.self, from: data) else {
                throw ReplyError.notJSON(String(decoding: data.prefix(80), as: UTF8.self))
            }
            return value
        }
    }

    package var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): "\"\(value)\""
        case .array(let values): "[\(values.map(\.description).joined(separator: ", "))]"
        case .object(let values):
            "{\(values.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", "))}"
        }
    }
}
