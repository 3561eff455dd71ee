public import Foundation
import TransferQ
import TransferQDigest

/// JSON as this project writes it: keys in order, slashes as they are, log 0 as `"-inf"`.
public enum JSON {
    public static func line(_ value: some Encodable) throws -> String { try text(value, [.sortedKeys]) }
    public static func pretty(_ value: some Encodable) throws -> String {
        try text(value, [.sortedKeys, .prettyPrinted])
    }

    /// Reads what ``line(_:)`` writes.
    public static var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return decoder
    }

    /// Why a value could not be decoded, as the part of a sentence.
    public static func sentence(_ error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            let parts = path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
            return parts.isEmpty ? "" : parts.joined(separator: ".") + ": "
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            return "\(place(context.codingPath))\(key.stringValue) is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            if let inner = context.underlyingError, !(inner is CocoaError) { return sentence(inner) }
            return place(context.codingPath) + context.debugDescription
        default: return "\(error)"
        }
    }

    private static func text(_ value: some Encodable, _ format: JSONEncoder.OutputFormatting) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = format.union(.withoutEscapingSlashes)
        // log 0 of a token that a policy rules out.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

/// A short hash of what is written as JSON.
public enum Fingerprint {
    public static func of(_ value: some Encodable) throws -> String {
        SHA256.hash(data: Data(try JSON.line(value).utf8)).prefix(8).hexadecimal
    }
}

/// Columns of text, the first to the left, the others to the right.
public enum TextTable {
    public static func text(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).enumerated().map { column, cell in
                let space = String(repeating: " ", count: cell.1 - cell.0.count)
                return column == 0 ? cell.0 + space : space + cell.0
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
