import Foundation

/// `length:TARGET`: 1 at TARGET words, falling linearly to 0 at none and at twice as many. Range 0...1.
///
/// Words are runs of anything but white space, so the reward does not depend on a tokenizer.
public struct LengthReward: RewardModel {
    public let target: Int
    public var name: String { "length:\(target)" }
    public var instruction: String? { "Answer in about \(target) \(target == 1 ? "word" : "words")." }
    public var range: ClosedRange<Double>? { 0...1 }

    /// - Parameter target: words, ≥ 1.
    public init(target: Int) throws {
        guard target >= 1 else {
            throw TransferQError.rewardSpecification(
                specification: "length:\(target)", reason: "the target must be at least 1 word")
        }
        self.target = target
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { completion in
            let words = completion.text.split(whereSeparator: \.isWhitespace).count
            return max(0, 1 - abs(Double(words - target)) / Double(target))
        }
    }
}

/// `keywords:a,b,-c`: the share of the wanted words that occur, minus the share of the unwanted ones that do.
///
/// Case does not matter; a keyword counts where it stands as a whole word or phrase, and once. Range 0...1 with wanted
/// words only, −1...0 with unwanted ones only, −1...1 with both.
public struct KeywordReward: RewardModel {
    public let wanted: [String]
    public let unwanted: [String]

    public var name: String { "keywords:" + (wanted + unwanted.map { "-" + $0 }).joined(separator: ",") }

    public var instruction: String? {
        func list(_ words: [String]) -> String { words.map { "\"\($0)\"" }.joined(separator: ", ") }
        func noun(_ words: [String]) -> String { words.count == 1 ? "word" : "words" }
        var sentences: [String] = []
        if !wanted.isEmpty { sentences.append("Use the \(noun(wanted)) \(list(wanted)) in your answer.") }
        if !unwanted.isEmpty { sentences.append("Never use the \(noun(unwanted)) \(list(unwanted)).") }
        return sentences.joined(separator: " ")
    }

    public var range: ClosedRange<Double>? { (unwanted.isEmpty ? 0 : -1)...(wanted.isEmpty ? 0 : 1) }

    public init(wanted: [String], unwanted: [String]) throws {
        let all = wanted + unwanted
        guard !all.isEmpty, all.allSatisfy({ !$0.allSatisfy(\.isWhitespace) }) else {
            throw TransferQError.rewardSpecification(
                specification: "keywords:" + all.joined(separator: ","),
                reason: "give at least one word, and none that is empty, for example keywords:calm,kind,-hate")
        }
        self.wanted = wanted.map { $0.lowercased() }
        self.unwanted = unwanted.map { $0.lowercased() }
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { completion in
            let text = completion.text.lowercased()
            func share(_ words: [String]) -> Double {
                guard !words.isEmpty else { return 0 }
                return Double(words.count { Self.occurs($0, in: text) }) / Double(words.count)
            }
            return share(wanted) - share(unwanted)
        }
    }

    /// Whether `word` stands in `text` with no letter or digit right before or after it.
    private static func occurs(_ word: String, in text: String) -> Bool {
        var start = text.startIndex
        while let found = text.range(of: word, range: start..<text.endIndex) {
            let before = found.lowerBound == text.startIndex ? nil : text[text.index(before: found.lowerBound)]
            let after = found.upperBound == text.endIndex ? nil : text[found.upperBound]
            let isInside = [before, after].contains { $0.map { $0.isLetter || $0.isNumber } ?? false }
            if !isInside { return true }
            start = text.index(after: found.lowerBound)
        }
        return false
    }
}

/// `regex:PATTERN`: 1 when the pattern (ICU syntax) matches anywhere in the text, else 0. Range 0...1.
public struct RegexReward: RewardModel {
    private let expression: NSRegularExpression
    public var name: String { "regex:\(expression.pattern)" }
    public var range: ClosedRange<Double>? { 0...1 }

    public init(pattern: String) throws {
        do {
            guard !pattern.isEmpty else { throw CocoaError(.formatting) }
            expression = try NSRegularExpression(pattern: pattern)
        } catch {
            throw TransferQError.rewardSpecification(
                specification: "regex:\(pattern)", reason: "'\(pattern)' is not a regular expression (ICU syntax)")
        }
    }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        completions.map { completion in
            let whole = NSRange(completion.text.startIndex..., in: completion.text)
            return expression.firstMatch(in: completion.text, range: whole) == nil ? 0 : 1
        }
    }
}
