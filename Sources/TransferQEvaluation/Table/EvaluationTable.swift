public import TransferQ
import TransferQRuntime

/// What methods came to on the prompts of a run: a row a method, a column a measure, every mean with its 95 % interval and its
/// paired difference to the reference method.
///
/// Answers to one prompt under several seeds are a cluster, which counts once; what one measure is missing for (an answer that
/// was not scored yet, an empty one) is left out of it. The report and `evaluate table` show this and nothing else.
public struct EvaluationTable: Codable, Sendable {
    /// A measure.
    public struct Column: Codable, Hashable, Sendable {
        /// What cells are found by: `reward`, `gold:NAME`, `kl`, `klPerToken`, `differs`, `referencePerplexity`, names of
        /// metrics (``MetricSpec``), `length`, `tokens`, `seconds`, `rolloutTokens`, `scoredTokens`, `modelCalls`.
        public let id: String
        /// For people.
        public let title: String
        public let better: Direction
        /// Digits behind the point that are worth showing.
        public let digits: Int
    }

    public enum Direction: String, Codable, Sendable {
        case higher
        case lower
        case neither
    }

    public struct Cell: Codable, Hashable, Sendable {
        /// The mean over prompts, with Student's t; of `distinct-n` the figure of all answers, with the jackknife.
        public let value: MeanInterval
        /// Answers that it is made of.
        public let answers: Int
        /// Nil in the reference method's own row, and where the two cannot be compared.
        public let difference: Difference?
    }

    /// This method's measure minus the reference's, paired by prompt.
    public struct Difference: Codable, Hashable, Sendable {
        /// Student's t over prompts that both answered.
        public let value: MeanInterval
        /// The same by the bootstrap over prompts; nil for figures of whole sets.
        public let bootstrap: BootstrapInterval?
        /// Pairs of answers in which this method's is better, equal or worse; paired by prompt and seed, or with all of the
        /// reference's answers to the prompt where it has none with that seed. Nil where no direction is the better one.
        public let wins: Int?
        public let ties: Int?
        public let losses: Int?
        /// Whether both intervals exclude zero. Only then may one be called the better.
        public let isDifferent: Bool
    }

    public struct Row: Codable, Sendable {
        /// The method's label.
        public let method: String
        public let prompts: Int
        public let answers: Int
        /// What `kl` of this row is; nil where its answers have several kinds, or none.
        public let klKind: KLKind?
        /// By ``Column/id``; a measure that the row has no values of is missing.
        public let cells: [String: Cell]
    }

    /// The label of the method that differences are to.
    public let reference: String
    public let columns: [Column]
    public let rows: [Row]
    /// What a judge said of methods against another; empty where none was asked.
    public let judgements: [JudgementSummary]
    /// What a reader should know, a sentence each, for example that answers are missing.
    public let notes: [String]

    /// - Throws: ``EvaluationError/unusableOutput(_:)``.
    public init(_ folder: RunFolder) throws {
        try self.init(
            folder.specification(), answers: folder.answers(), gold: folder.gold(), metrics: folder.metrics(),
            judgements: folder.judgements())
    }

    public init(
        _ record: RunSpecification, answers: [AnswerLine], gold: [ValueLine], metrics: [ValueLine],
        judgements: [JudgementLine] = []
    ) {
        let spec = record.specification
        let (measures, base) = (Self.columns(of: spec), spec.reference)
        let values = MeasuredAnswers(answers, gold: gold, metrics: metrics)
        let found = spec.methods.filter { !values.answers(of: $0.label).isEmpty }.map { entry in
            let own = values.answers(of: entry.label)
            let cells = measures.compactMap { column in
                values.cell(column, of: entry.label, against: entry.label == base ? nil : base).map { (column.id, $0) }
            }
            return Row(
                method: entry.label, prompts: Set(own.map(\.prompt)).count, answers: own.count,
                klKind: values.klKind(of: entry.label), cells: Dictionary(uniqueKeysWithValues: cells))
        }
        reference = base
        columns = measures
        rows = found
        self.judgements = JudgementSummary.all(judgements, answers: answers, methods: spec.methods.map(\.label))
        let sizes = found.map { "\($0.method) \($0.prompts)" }.joined(separator: ", ")
        let isUneven = Set(found.map(\.prompts)).count > 1
        notes =
            isUneven
            ? [
                "The methods have answered different numbers of prompts (\(sizes)): only differences compare them on the "
                    + "same ones."
            ] : []
    }

    private static func columns(of spec: EvaluationSpec) -> [Column] {
        func column(_ id: String, _ title: String, _ better: Direction, _ digits: Int) -> Column {
            Column(id: id, title: title, better: better, digits: digits)
        }
        var columns = spec.scoring.reward == nil ? [] : [column("reward", "guiding reward", .higher, 3)]
        columns += spec.gold.keys.sorted().map { column("gold:\($0)", "gold \($0)", .higher, 3) }
        columns += [
            column("kl", "KL to the reference, nats", .neither, 2),
            column("klPerToken", "KL a token, nats", .neither, 3),
            column("differs", "share of tokens that differ from the reference's", .neither, 3),
            column("referencePerplexity", "perplexity under the reference", .lower, 2),
        ]
        for metric in spec.metrics {
            switch metric {
            case .repetition:
                columns += (2...4).map { column("rep-\($0)", "rep-\($0), %", .lower, 2) }
                columns.append(column("diversity", "diversity", .higher, 3))
            case .distinct:
                columns += (1...3).map { column("distinct-\($0)", "distinct-\($0)", .higher, 3) }
            case .coherence(let encoder):
                columns.append(column(metric.text, encoder == nil ? "coherence" : metric.text, .higher, 3))
            case .perplexity(let model):
                columns.append(column(metric.text, "perplexity under \(model)", .lower, 2))
            }
        }
        return columns + [
            column("length", "words", .neither, 1), column("tokens", "tokens", .neither, 1),
            column("seconds", "seconds", .lower, 2), column("rolloutTokens", "rollout tokens", .lower, 0),
            column("scoredTokens", "scored tokens", .lower, 0), column("modelCalls", "model calls", .lower, 0),
        ]
    }
}
