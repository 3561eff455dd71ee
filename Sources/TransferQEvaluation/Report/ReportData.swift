import TransferQ

/// The data block of a report's page: every figure of the tables, and what its script shows answers from.
struct ReportData: Encodable {
    struct Column: Encodable {
        let name: String
        let title: String
        let digits: Int
        let better: EvaluationTable.Direction
        /// Whether single answers have values.
        let perAnswer: Bool
    }

    struct Method: Encodable {
        let label: String
    }

    struct Prompt: Encodable {
        /// The prompt's place in its file, from 1 on.
        let number: Int
        let messages: [Message]
    }

    struct Answer: Encodable {
        let key: String
        /// Indices into `prompts` and `methods`.
        let prompt: Int
        let method: Int
        /// A text: JavaScript would round large numbers.
        let seed: String
        let text: String
        let finish: String
        /// In the order of the columns that single answers have.
        let values: [Double?]
    }

    let format = 1
    let run: String
    let columns: [Column]
    let table: EvaluationTable
    let frontiers: [Frontier]
    let methods: [Method]
    let prompts: [Prompt]
    let answers: [Answer]
    let traces: [String: [ReportTraces.Step]]

    init(_ run: RunContents, _ frontiers: [Frontier], _ traces: ReportTraces) {
        self.run = run.name
        self.frontiers = frontiers
        table = run.table
        let own = run.answerColumns
        columns = run.columns.map { column in
            Column(
                name: column.id, title: column.title, digits: column.digits, better: column.better,
                perAnswer: own.contains(column))
        }
        methods = run.methods.map { Method(label: $0) }
        let places = run.prompts
        prompts = places.map { Prompt(number: $0.prompt + 1, messages: $0.messages) }
        let promptIndex = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($1.prompt, $0) })
        let methodIndex = Dictionary(uniqueKeysWithValues: run.methods.enumerated().map { ($1, $0) })
        answers = run.answers.map { answer in
            Answer(
                key: answer.answer, prompt: promptIndex[answer.prompt] ?? 0, method: methodIndex[answer.method] ?? 0,
                seed: "\(answer.seed)", text: answer.response, finish: answer.finish.rawValue,
                values: own.map { run.values.value($0.id, of: answer) })
        }
        self.traces = traces.steps
    }

    /// JSON that can stand in a page's script element: no `<` in it ends the element.
    func json() throws -> String { try JSON.line(self).replacing("<", with: "\\u003c") }
}
