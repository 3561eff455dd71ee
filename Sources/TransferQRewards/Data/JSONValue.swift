import Foundation

/// A value as JSON has it; true and false are 1 and 0.
enum JSONValue {
    case text(String)
    case number(Double)
    case null
    case list([JSONValue])
    case object([String: JSONValue])

    /// Of what `JSONSerialization` makes.
    init(_ value: Any) {
        switch value {
        case let text as String: self = .text(text)
        case is NSNull: self = .null
        case let list as [Any]: self = .list(list.map(JSONValue.init))
        case let object as [String: Any]: self = .object(object.mapValues(JSONValue.init))
        case let number as NSNumber: self = .number(number.doubleValue)
        default: self = .null
        }
    }

    /// What it is, for a sentence.
    var kind: String {
        switch self {
        case .text: "a text"
        case .number: "a number"
        case .null: "null"
        case .list: "a list"
        case .object: "an object"
        }
    }

    var isNull: Bool { if case .null = self { true } else { false } }

    var object: [String: JSONValue]? { if case .object(let object) = self { object } else { nil } }

    /// The texts of a list that holds nothing else.
    var texts: [String]? {
        guard case .list(let items) = self else { return nil }
        let texts = items.compactMap { if case .text(let text) = $0 { text } else { nil } }
        return texts.count == items.count ? texts : nil
    }

    /// All texts in it that are not blank, however deep; keys of objects are none.
    var allTexts: [String] {
        switch self {
        case .text(let text): text.allSatisfy(\.isWhitespace) ? [] : [text]
        case .number, .null: []
        case .list(let items): items.flatMap(\.allTexts)
        case .object(let object): object.values.flatMap(\.allTexts)
        }
    }
}
