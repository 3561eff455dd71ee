/// A measure of answers' texts that is worked out after they are made.
///
/// JSON: a text, `NAME` or `NAME:ARGUMENT`.
///
/// | text | per answer | over a method's answers |
/// |---|---|---|
/// | `repetition` | `rep-2`, `rep-3`, `rep-4` (0 to 100), `diversity` (0 to 1) | |
/// | `distinct` | | `distinct-1`, `distinct-2`, `distinct-3` (0 to 1) |
/// | `coherence` or `coherence:ENCODER` | `coherence` (−1 to 1) | |
/// | `perplexity:MODEL` | `perplexity:MODEL` (at least 1) | |
public enum MetricSpec: Hashable, Sendable {
    case repetition
    case distinct
    /// The encoder: a GGUF file, or nil for the one that `scripts/make-encoder` makes.
    case coherence(encoder: String?)
    /// A model that takes no part in the answers: a known name or a GGUF file.
    case perplexity(model: String)

    /// Those that need no other model.
    public static let standard: [MetricSpec] = [.repetition, .distinct]

    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` for a text that is none.
    public init(parsing text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let argument = parts.count == 2 ? parts[1] : nil
        switch (parts[0], argument) {
        case ("repetition", nil): self = .repetition
        case ("distinct", nil): self = .distinct
        case ("coherence", nil): self = .coherence(encoder: nil)
        case ("coherence", let encoder?) where !encoder.isEmpty: self = .coherence(encoder: encoder)
        case ("perplexity", let model?) where !model.isEmpty: self = .perplexity(model: model)
        default:
            throw EvaluationError.invalidSpecification(
                "metrics: \"\(text)\" is none; write repetition, distinct, coherence, coherence:ENCODER.gguf or "
                    + "perplexity:MODEL")
        }
    }

    /// As it is written.
    public var text: String {
        switch self {
        case .repetition: "repetition"
        case .distinct: "distinct"
        case .coherence(nil): "coherence"
        case .coherence(let encoder?): "coherence:\(encoder)"
        case .perplexity(let model): "perplexity:\(model)"
        }
    }

    /// What lines of `metrics.jsonl` call its values.
    public var names: [String] {
        switch self {
        case .repetition: ["rep-2", "rep-3", "rep-4", "diversity"]
        case .distinct: []
        case .coherence, .perplexity: [text]
        }
    }
}

extension MetricSpec: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
