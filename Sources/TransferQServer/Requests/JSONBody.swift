import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import TransferQ
import TransferQRewards
import TransferQRuntime

/// Reads the JSON of a request, and says in a sentence what is wrong with it.
enum JSONBody {
    /// - Throws: ``APIError``.
    static func read<Value: Decodable>(
        _ type: Value.Type, from request: inout Request, limits: ServerLimits
    ) async throws -> Value {
        let media = request.headers[.contentType]?.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        // Pages of other origins cannot send this type without being asked first, which this server never allows.
        guard media == "application/json" else {
            throw APIError(
                .unsupportedMediaType, "the body must be JSON; send it with the header Content-Type: application/json",
                code: "unsupported_media_type")
        }
        let buffer: ByteBuffer
        do { buffer = try await request.collectBody(upTo: limits.bodyBytes) } catch is NIOTooManyBytesError {
            throw APIError(
                .contentTooLarge,
                "the body has more than \(limits.bodyBytes) bytes, which is as many as may be; shorten it",
                code: "body_too_large")
        }
        let bytes = Array(buffer.readableBytesView)
        return try decode(type, from: bytes, limits: limits)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], limits: ServerLimits) throws -> Value
    {
        guard !bytes.isEmpty else { throw APIError.invalid("the body is empty; send a JSON object") }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw APIError.invalid("the body is not valid UTF-8; send JSON in UTF-8")
        }
        guard depth(of: bytes, upTo: limits.depth) <= limits.depth else {
            throw APIError.invalid("the body nests lists and objects more than \(limits.depth) deep; flatten it")
        }
        let data = Data(bytes)
        do { return try JSONDecoder().decode(type, from: data) } catch let error as APIError {
            throw error
        } catch DecodingError.dataCorrupted(let context)
            where context.codingPath.isEmpty && context.underlyingError == nil
        {
            throw APIError.invalid(fault(in: data))
        } catch {
            throw APIError.invalid(sentence(error), parameter: place(of: error))
        }
    }

    /// How deep lists and objects are nested; the parser needs a stack as deep. Counting ends past `limit`.
    private static func depth(of bytes: [UInt8], upTo limit: Int) -> Int {
        var (depth, deepest, isText, isEscaped) = (0, 0, false, false)
        for byte in bytes {
            if isText {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isText = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isText = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                deepest = max(deepest, depth)
                if deepest > limit { return deepest }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        return deepest
    }

    // MARK: What is wrong

    /// Why a value could not be decoded, as a sentence.
    static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as APIError: return error.message
        case DecodingError.keyNotFound(let key, let context):
            return "\(path(context.codingPath + [key])) is missing"
        case DecodingError.valueNotFound(let type, let context):
            return "\(path(context.codingPath)) must be \(kind(type)), not null"
        case DecodingError.typeMismatch(let type, let context):
            return "\(path(context.codingPath)) must be \(kind(type))"
        case DecodingError.dataCorrupted(let context):
            if let inner = context.underlyingError, inner is TransferQError || inner is RuntimeError {
                return "\(inner)"
            }
            return (context.codingPath.isEmpty ? "it" : path(context.codingPath))
                + " cannot be read: \(context.debugDescription)"
        default: return "\(error)"
        }
    }

    /// What is wrong with JSON that the decoder only calls invalid.
    private static func fault(in data: Data) -> String {
        do { _ = try JSONSerialization.jsonObject(with: data) } catch {
            let detail = (error as NSError).userInfo["NSDebugDescription"] as? String ?? error.localizedDescription
            return "the body is no JSON that can be read: "
                + detail.trimmingCharacters(in: CharacterSet(charactersIn: "."))
        }
        return "a number in the body does not fit its field: whole numbers have no fraction and at most 19 digits"
    }

    private static func place(of error: any Error) -> String? {
        switch error {
        case DecodingError.keyNotFound(let key, let context): path(context.codingPath + [key])
        case DecodingError.valueNotFound(_, let context), DecodingError.typeMismatch(_, let context),
            DecodingError.dataCorrupted(let context):
            context.codingPath.isEmpty ? nil : path(context.codingPath)
        case TransferQError.invalidParameter(let name, _, _): name
        default: nil
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        guard !keys.isEmpty else { return "the body" }
        return keys.reduce("") { path, key in
            if let index = key.intValue { return path + "[\(index)]" }
            return path + (path.isEmpty ? "" : ".") + String(key.stringValue.prefix(60))
        }
    }

    private static func kind(_ type: Any.Type) -> String {
        switch type {
        case is String.Type: "a text"
        case is Int.Type, is Int64.Type, is UInt64.Type: "a whole number"
        case is Double.Type: "a number"
        case is Bool.Type: "true or false"
        case is [Any].Type: "a list"
        default: "\(type)".hasPrefix("Array") ? "a list" : "an object"
        }
    }
}

extension AnyJSON {
    /// Whether it asks for nothing.
    var isNeutral: Bool {
        switch self {
        case .null, .bool(false), .number(0): true
        case .string(let text): text.isEmpty || text == "none" || text == "auto"
        case .array(let items): items.isEmpty
        case .object(let items): items.isEmpty
        default: false
        }
    }
}
