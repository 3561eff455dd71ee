import Foundation
import TransferQ

/// What a run folder holds, in memory, and the table of its figures. Nothing here needs a model.
public struct RunContents: Sendable {
    /// The folder's name, for people.
    public let name: String
    public let specification: RunSpecification
    /// In the order of prompts, methods and seeds; one for each ``AnswerPlace``.
    public let answers: [AnswerLine]
    public let gold: [ValueLine]
    public let metrics: [ValueLine]
    public let table: EvaluationTable
    /// Every value of single answers.
    let values: MeasuredAnswers
    /// The measures that single answers have values of.
    let answerColumns: [EvaluationTable.Column]
    /// The measures that some method has values of.
    let columns: [EvaluationTable.Column]
    /// The runs that the answers come from, several where they are compared.
    let sources: [(name: String, specification: RunSpecification)]
    /// The steps of answers by key; read only when they are asked for, as they are large.
    let folder: RunFolder?

    /// Labels of the methods, in the order of the specification; those without an answer are left out.
    public var methods: [String] { table.rows.map(\.method) }

    /// Reads a folder.
    ///
    /// - Throws: ``EvaluationError/unusableOutput(_:)`` for a folder of something else, and for one without an answer.
    public init(_ folder: RunFolder) throws {
        try self.init(
            name: folder.url.lastPathComponent, specification: folder.specification(), answers: folder.answers(),
            gold: folder.gold(), metrics: folder.metrics(), judgements: folder.judgements(), folder: folder)
    }

    init(
        name: String, specification: RunSpecification, answers: [AnswerLine], gold: [ValueLine],
        metrics: [ValueLine], judgements: [JudgementLine] = [], folder: RunFolder? = nil,
        sources: [(name: String, specification: RunSpecification)]? = nil
    ) throws {
        self.sources = sources ?? [(name, specification)]
        (self.name, self.specification, self.folder) = (name, specification, folder)
        (self.gold, self.metrics) = (gold, metrics)
        var order: [String: Int] = [:]
        for entry in specification.specification.methods { order[entry.label] = order.count }
        var places: Set<AnswerPlace> = []
        let answers = answers.filter { order[$0.method] != nil && places.insert($0.place).inserted }.sorted {
            ($0.prompt, order[$0.method] ?? 0, $0.seed) < ($1.prompt, order[$1.method] ?? 0, $1.seed)
        }
        guard !answers.isEmpty else {
            throw EvaluationError.unusableOutput(
                "\(folder?.url.path ?? name) holds no answer yet; run evaluate run first, or wait for it")
        }
        self.answers = answers
        let table = EvaluationTable(
            specification, answers: answers, gold: gold, metrics: metrics, judgements: judgements)
        let values = MeasuredAnswers(answers, gold: gold, metrics: metrics)
        columns = table.columns.filter { column in table.rows.contains { $0.cells[column.id] != nil } }
        answerColumns = columns.filter { column in answers.contains { values.value(column.id, of: $0) != nil } }
        (self.table, self.values) = (table, values)
    }

    /// Prompts by their place in the file, each once.
    var prompts: [(prompt: Int, messages: [Message])] {
        var found: [(Int, [Message])] = []
        for answer in answers where found.last?.0 != answer.prompt { found.append((answer.prompt, answer.messages)) }
        return found
    }

    var goldColumns: [EvaluationTable.Column] { columns.filter { $0.id.hasPrefix("gold:") } }

    func column(_ id: String) -> EvaluationTable.Column? { columns.first { $0.id == id } }
}

extension MeanInterval {
    /// Nil for a single value.
    var range: ClosedRange<Double>? {
        guard let low, let high, low <= high else { return nil }
        return low...high
    }
}

extension Double {
    /// With so many digits after the point; what rounds to zero has no sign.
    func figure(_ digits: Int, signed: Bool = false) -> String {
        let text = fixed(digits, signed: signed)
        return text.contains { ("1"..."9").contains($0) } || !isFinite ? text : fixed(digits).replacing("-", with: "")
    }
}
