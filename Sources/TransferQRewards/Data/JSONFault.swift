import Foundation
import TransferQ

/// What is wrong with bytes that are no JSON object, and where.
struct JSONFault {
    /// Bytes before it.
    let offset: Int
    let reason: String

    /// - Parameters:
    ///   - bytes: one record.
    ///   - path: of the file, for commands that convert it.
    ///   - parserMessage: what the parser said, for what is not found here.
    init(in bytes: Data, path: String, parserMessage: String) {
        let bytes = [UInt8](bytes)
        let file = FileKind.quoted(path)
        self =
            Self.encoding(bytes, file) ?? Self.syntax(bytes, file)
            ?? JSONFault(
                0, "this is no JSON (\(parserMessage.trimmingCharacters(in: CharacterSet(charactersIn: ". "))))")
    }

    private init(_ offset: Int, _ reason: String) {
        self.offset = offset
        self.reason = reason
    }

    private static func encoding(_ bytes: [UInt8], _ file: String) -> JSONFault? {
        guard String(validating: bytes, as: UTF8.self) == nil else { return nil }
        var (decoder, iterator, offset) = (UTF8(), bytes.makeIterator(), 0)
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { offset += UTF8.width(scalar) }
        guard bytes.indices.contains(offset) else { return nil }
        let byte = bytes[offset]
        let digits = "0x" + [byte].hexadecimal.uppercased()
        if byte == 0xED {
            return JSONFault(
                offset,
                "the bytes from \(digits) on are half of a surrogate pair, which is no UTF-8; write the file anew as UTF-8"
            )
        }
        let guess =
            byte < 0xA0
            ? "convert the file: iconv -f WINDOWS-1252 -t UTF-8 \(file) > data.jsonl"
            : "in Latin-1 it would be \"\(Character(UnicodeScalar(byte)))\": iconv -f LATIN1 -t UTF-8 \(file) > data.jsonl"
        return JSONFault(offset, "the byte \(digits) is not UTF-8; \(guess)")
    }

    /// Words that other languages write where JSON has no such value, and what to write.
    private static let words = [
        "NaN": "null", "nan": "null", "Infinity": "a number, or null", "inf": "a number, or null", "None": "null",
        "True": "true", "False": "false", "undefined": "null",
    ]

    private static func syntax(_ bytes: [UInt8], _ file: String) -> JSONFault? {
        var index = 0
        var open: [UInt8] = []
        var hasValue = false
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            case _ where open.isEmpty && hasValue:
                return JSONFault(index, "something follows the end of the record; give one record a line")
            case UInt8(ascii: "\""):
                switch string(bytes, from: index + 1) {
                case .fault(let fault): return fault
                case .end(let end): index = end
                }
                if open.isEmpty {
                    return JSONFault(
                        0,
                        "this is a text, and a record is an object; a list of texts becomes prompts by jq -c '.[] | {prompt: .}' \(file) > data.jsonl"
                    )
                }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open.append(byte)
                hasValue = true
                index += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard let last = open.popLast(), last == (byte == UInt8(ascii: "}") ? 0x7B : 0x5B) else {
                    return JSONFault(index, "this is no JSON: a bracket closes what was not opened")
                }
                index += 1
            case UInt8(ascii: "'"):
                return JSONFault(
                    index, "this is no JSON: it has single quotes, as Python prints; write it with json.dumps")
            case UInt8(ascii: ":"), UInt8(ascii: ","): index += 1
            default:
                let end = bytes[index...].firstIndex { " \n\r\t,:]}[{\"'".utf8.contains($0) } ?? bytes.count
                let word = String(decoding: bytes[index..<end], as: UTF8.self)
                if let instead = words[word.hasPrefix("-") ? String(word.dropFirst()) : word] {
                    return JSONFault(index, "\(word) is no JSON, though some programs write it; write \(instead)")
                }
                if !word.contains(/^(true|false|null|-?[0-9][0-9.eE+-]*)$/) {
                    let text = String(word.prefix(20))
                    return JSONFault(
                        index,
                        open.isEmpty
                            ? "this is no JSON: it begins with \"\(text)\"; lines of plain text become prompts by jq -cR "
                                + "'{prompt: .}' \(file) > data.jsonl"
                            : "this is no JSON: \"\(text)\" is no value")
                }
                hasValue = true
                index = end
            }
        }
        guard open.isEmpty else {
            return JSONFault(
                bytes.count,
                "the record is not closed at the end of its line; it is cut, or goes on over several lines: jq -c . "
                    + "\(file) > data.jsonl")
        }
        return nil
    }

    private enum Scanned {
        case end(Int)
        case fault(JSONFault)
    }

    /// The place behind a string whose first byte is at `place`.
    private static func string(_ bytes: [UInt8], from place: Int) -> Scanned {
        var index = place
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") { return .end(index + 1) }
            if byte < 0x20 {
                return .fault(
                    JSONFault(
                        index, "a text holds the control character 0x\([byte].hexadecimal); write it as an escape"))
            }
            guard byte == UInt8(ascii: "\\"), index + 1 < bytes.count else {
                index += 1
                continue
            }
            guard "\"\\/bfnrtu".utf8.contains(bytes[index + 1]) else {
                let escape = String(decoding: bytes[index...(index + 1)], as: UTF8.self)
                return .fault(JSONFault(index, "the escape \(escape) is none of JSON's"))
            }
            guard bytes[index + 1] == UInt8(ascii: "u") else {
                index += 2
                continue
            }
            guard let unit = unit(bytes, at: index) else {
                return .fault(JSONFault(index, "the escape \\u is not followed by four hexadecimal digits"))
            }
            if UTF16.isLeadSurrogate(unit), let next = Self.unit(bytes, at: index + 6), UTF16.isTrailSurrogate(next) {
                index += 12
            } else if UTF16.isSurrogate(unit) {
                let escape = String(decoding: bytes[index..<(index + 6)], as: UTF8.self)
                return .fault(
                    JSONFault(
                        index,
                        "the escape \(escape) is half of a surrogate pair, which is no character (an emoji that was cut?); "
                            + "remove it"))
            } else {
                index += 6
            }
        }
        return .fault(JSONFault(bytes.count, "the line ends inside a text; it is cut, or a quote is missing"))
    }

    /// The code unit of an escape \uXXXX.
    private static func unit(_ bytes: [UInt8], at place: Int) -> UInt16? {
        guard place + 6 <= bytes.count, bytes[place] == UInt8(ascii: "\\"), bytes[place + 1] == UInt8(ascii: "u") else {
            return nil
        }
        let digits = bytes[(place + 2)..<(place + 6)]
        guard digits.allSatisfy({ UnicodeScalar($0).properties.isASCIIHexDigit }) else { return nil }
        return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
