import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation

/// Draws the candidates of a step on a terminal, within its columns.
struct CandidateView {
    let tokenizer: any Tokenizer
    private let shown = 6
    /// Nil draws everything. Asked for anew with every step, as windows change.
    private var columns: Int? { Console.errorColumns }

    func lines(_ step: DecodingStep) -> String {
        let kl = step.cumulativeKL.map { "so far: " + step.cumulativeKLKind.sentence($0) } ?? "KL unknown"
        var lines = ["step \(step.index + 1)   \(kl)" + gain(step)]
        for candidate in step.decision.candidates.prefix(shown) { lines.append(line(candidate, step: step)) }
        let hidden = step.decision.candidates.dropFirst(shown)
        if let chosen = hidden.first(where: { $0.tokens == step.decision.tokens }) {
            lines.append(line(chosen, step: step))
        }
        let columns = columns
        return lines.map { line in columns.map { line.cut(to: $0) } ?? line }.joined(separator: "\n")
    }

    /// The value that the reference's own choice would have, on average, and the chosen candidate's.
    private func gain(_ step: DecodingStep) -> String {
        let candidates = step.decision.candidates
        guard let chosen = candidates.first(where: { $0.tokens == step.decision.tokens })?.value else { return "" }
        let weights = candidates.map { exp($0.logProbability) }
        let plain = zip(weights, candidates).reduce(0) { $0 + $1.0 * ($1.1.value ?? 0) } / weights.reduce(0, +)
        return "   Q \(chosen.fixed(2)), plain \(plain.fixed(2))"
    }

    /// The text of a candidate alone, which may begin or end inside a character.
    static func text(of tokens: [Token], _ tokenizer: any Tokenizer) -> String {
        String(decoding: tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
    }

    /// A candidate: its text, its probability as a bar and a number, and as much more as there is room for.
    private func line(_ candidate: ScoredCandidate, step: DecodingStep) -> String {
        let isEnd = candidate.tokens.count == 1 && tokenizer.isEnd(candidate.tokens[0])
        let name = isEnd ? "⏹ end" : Self.text(of: candidate.tokens, tokenizer).drawable
        let mark = candidate.tokens == step.decision.tokens ? "▸" : " "
        let number = " " + candidate.probability.fixed(3)
        var left = (columns ?? .max) - " ▸ ".count - Self.leastName - number.count
        // The most telling first.
        var details = ""
        let value = candidate.value.map { "   Q " + $0.fixed(3, width: 6) } ?? ""
        let log = "   log π " + candidate.logProbability.fixed(2, width: 7)
        let hasValue = value.count <= left
        if hasValue { left -= value.count }
        let nameWidth = Self.leastName + min(Self.mostName - Self.leastName, max(0, left))
        left -= nameWidth - Self.leastName
        let hasLog = log.count + Self.leastBar < left
        if hasLog { left -= log.count }
        details += (hasLog ? log : "") + (hasValue ? value : "")
        let barWidth = min(Self.mostBar, left - 1)
        if barWidth >= Self.leastBar { left -= barWidth + 1 }
        if let rollout = candidate.rollouts.first?.rollout, !rollout.tokens.isEmpty, left >= Self.leastAhead {
            let ahead = tokenizer.text(of: rollout.tokens).drawable
            details += "   …" + ahead.prefix(44)
        }
        let bar = barWidth >= Self.leastBar ? " " + Self.bar(candidate.probability, width: barWidth) : ""
        return " \(mark) " + name.cut(to: nameWidth).padded(to: nameWidth) + bar + number + details
    }

    private static func bar(_ probability: Double, width: Int) -> String {
        let filled = min(width, max(0, Int((probability * Double(width)).rounded())))
        return String(repeating: "█", count: filled) + String(repeating: "·", count: width - filled)
    }

    private static let (leastName, mostName) = (6, 16)
    private static let (leastBar, mostBar) = (5, 20)
    /// Columns that a rollout's text is worth being shown in.
    private static let leastAhead = 12
}

extension String {
    /// On one line of a terminal: control characters, which would move the cursor, are replaced.
    fileprivate var drawable: String {
        String(
            map { character in
                switch character {
                case "\n", "\r\n": "⏎"
                case "\t": "⇥"
                case _ where character.unicodeScalars.contains { $0.properties.generalCategory == .control }: "·"
                default: character
                }
            })
    }

    /// Columns that the text takes on a terminal.
    fileprivate var columns: Int { reduce(0) { $0 + $1.columns } }

    /// As much of the text as so many columns hold.
    fileprivate func cut(to columns: Int) -> String {
        var left = columns
        return String(
            prefix { character in
                left -= character.columns
                return left >= 0
            })
    }

    fileprivate func padded(to columns: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, columns - self.columns))
    }
}

extension Character {
    /// Columns on a terminal: two for East Asian and pictorial characters.
    fileprivate var columns: Int {
        guard let scalar = unicodeScalars.first else { return 0 }
        if unicodeScalars.contains(where: { $0.properties.isEmojiPresentation || $0 == "\u{FE0F}" }) { return 2 }
        return switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            2
        default: 1
        }
    }
}
