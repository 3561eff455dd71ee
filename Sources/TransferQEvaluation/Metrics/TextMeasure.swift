import Foundation
import TransferQ
import TransferQLlama
import TransferQRewards
import TransferQRuntime

/// Measures answers, some at a time.
struct TextMeasure: Sendable {
    private enum Kind {
        case repetition
        case nothing
        case coherence(TextEncoder)
        case perplexity(TextReader)
    }

    private let kind: Kind
    /// What the values depend on besides the answers; nil for rules.
    let file: URL?

    /// Loads what the measure needs.
    init(_ metric: MetricSpec, encoder: URL?, loader: RewardLoader) async throws {
        switch metric {
        case .repetition: (kind, file) = (.repetition, nil)
        case .distinct: (kind, file) = (.nothing, nil)
        case .coherence(let path):
            let url = try Self.encoder(path, standard: encoder)
            try await loader.library.probe?.check(model: url.path, purpose: .embedding)
            kind = .coherence(try await TextEncoder(path: url.path, threads: loader.threads))
            file = url
        case .perplexity(let name):
            let path = try await loader.library.path(name)
            let model = try await loader.library.load(path)
            kind = .perplexity(TextReader(model: model, threads: loader.threads))
            file = URL(filePath: path)
        }
    }

    /// The file of an encoder.
    ///
    /// - Parameter standard: what serves without a path.
    static func encoder(_ path: String?, standard: URL?) throws -> URL {
        let url = path.map { URL(filePath: $0) } ?? standard
        guard let url, FileManager.default.fileExists(atPath: url.path) else {
            throw EvaluationError.invalidSpecification(
                "metrics: there is no sentence encoder \(path ?? "for coherence"); run scripts/make-encoder once, or write "
                    + "coherence:FILE.gguf")
        }
        return url
    }

    /// The values of each answer, in the order of ``MetricSpec/names``; nil where an answer has none.
    func values(of lines: [AnswerLine]) async throws -> [[Double?]] {
        switch kind {
        case .nothing: return lines.map { _ in [] }
        case .repetition:
            return lines.map { line in
                let repetition = Repetition(line.response)
                return repetition.rates + [repetition.diversity]
            }
        case .coherence(let encoder):
            let texts = lines.flatMap { [$0.question, $0.response] }
            let embeddings = try await encoder.embeddings(of: texts)
            return lines.indices.map { index in
                let isEmpty = lines[index].response.allSatisfy(\.isWhitespace)
                return [isEmpty ? nil : TextEncoder.cosine(embeddings[2 * index], embeddings[2 * index + 1])]
            }
        case .perplexity(let reader):
            var values: [[Double?]] = []
            for line in lines { values.append([try await perplexity(of: line, by: reader)]) }
            return values
        }
    }

    /// exp(−log π/tokens) of the response as the model's own template has it, in the model's own tokens, without an end
    /// token; nil for an empty response.
    private func perplexity(of line: AnswerLine, by reader: TextReader) async throws -> Double? {
        let tokens = await reader.tokens(of: line.response)
        guard !tokens.isEmpty else { return nil }
        let policy = try await reader.policy(for: line.messages, texts: [tokens])
        let logProbability = try await policy.score([Continuation(prefix: [], tokens: tokens)], after: [])[0]
        return exp(-logProbability / Double(tokens.count))
    }
}

extension AnswerLine {
    /// The user's last turn; the whole prompt where no turn is a user's.
    var question: String {
        messages.last { $0.role == "user" }?.content ?? messages.map(\.content).joined(separator: "\n")
    }
}
