/// The words of a text, for measures that count n-grams: runs of letters, digits and underscores, with apostrophes and hyphens
/// between them, and points, commas and colons between digits; every other visible character is a word by itself. English
/// contractions are two words: "do" and "n't", "it" and "'s".
///
/// So they are those of nltk's `word_tokenize`, which the papers of this family take, but for some abbreviations.
public struct Words: Sendable {
    public let list: [String]

    public init(_ text: String) {
        let scalars = Array(text.unicodeScalars)
        var words: [String] = []
        var place = 0
        while place < scalars.count {
            guard Self.isLetter(scalars[place]) else {
                if !scalars[place].properties.isWhitespace { words.append(String(Character(scalars[place]))) }
                place += 1
                continue
            }
            var end = place + 1
            while end < scalars.count, Self.isLetter(scalars[end]) || Self.joins(end, in: scalars) { end += 1 }
            var word = String.UnicodeScalarView()
            word.append(contentsOf: scalars[place..<end])
            words += Self.parts(of: String(word))
            place = end
        }
        list = words
    }

    /// Whether the character at a place belongs to the word around it.
    private static func joins(_ place: Int, in scalars: [Unicode.Scalar]) -> Bool {
        guard place + 1 < scalars.count else { return false }
        let (before, after) = (scalars[place - 1], scalars[place + 1])
        switch scalars[place] {
        case "'", "\u{2019}", "-": return isLetter(before) && isLetter(after)
        case ".", ",", ":": return isDigit(before) && isDigit(after)
        default: return false
        }
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .decimalNumber
    }

    private static let contractions = ["n't", "'s", "'m", "'d", "'ll", "'re", "'ve"]

    /// A word without its contraction, and that.
    private static func parts(of word: String) -> [String] {
        guard word.utf8.contains(UInt8(ascii: "'")) else { return [word] }
        let lower = word.lowercased()
        guard let ending = contractions.first(where: { lower.hasSuffix($0) && lower.count > $0.count }) else {
            return [word]
        }
        return [String(word.dropLast(ending.count)), String(word.suffix(ending.count))]
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == "_" { return true }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            return true
        default: return false
        }
    }

    /// All runs of n words; none of a shorter text.
    public func ngrams(_ n: Int) -> [ArraySlice<String>] {
        guard n >= 1, list.count >= n else { return [] }
        return (0...(list.count - n)).map { list[$0..<($0 + n)] }
    }
}

/// How much a text repeats itself, as Khanov et al. (ARGS, 2402.01694) and Chakraborty et al. (2405.20495) measure it.
public struct Repetition: Sendable {
    /// rep-n = 100·(1 − |different n-grams| / (n-grams + 1)) for n of 2, 3 and 4; 0 to 100, less is better. A text of fewer
    /// than n words has 100.
    public let rates: [Double]

    public init(_ text: String) {
        let words = Words(text)
        rates = (2...4).map { n in
            let ngrams = words.ngrams(n)
            return 100 * (1 - Double(Set(ngrams).count) / Double(ngrams.count + 1))
        }
    }

    /// ∏ (1 − rep-n/100) over n of 2, 3 and 4; 0 to 1, more is better.
    public var diversity: Double { rates.reduce(1) { $0 * (1 - $1 / 100) } }
}

/// distinct-n: the share of different n-grams among all of a set of answers (Li et al., 1510.03055); 0 to 1. It falls with
/// the number of answers, so only sets of one size compare.
public struct Distinct: Sendable {
    private let n: Int
    private var counts: [ArraySlice<String>: Int] = [:]
    private var total = 0

    public init(_ n: Int, of texts: [String]) {
        self.n = n
        for text in texts { add(Words(text), 1) }
    }

    private mutating func add(_ words: Words, _ sign: Int) {
        for ngram in words.ngrams(n) {
            let count = counts[ngram, default: 0] + sign
            counts[ngram] = count == 0 ? nil : count
            total += sign
        }
    }

    /// Nil without n-grams.
    public var share: Double? { total > 0 ? Double(counts.count) / Double(total) : nil }

    /// The share without these texts, which must be among those of the set.
    public func share(without texts: [String]) -> Double? {
        var rest = self
        for text in texts { rest.add(Words(text), -1) }
        return rest.share
    }
}
