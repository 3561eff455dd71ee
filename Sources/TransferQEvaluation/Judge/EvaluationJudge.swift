import Foundation
import TransferQ
public import TransferQRuntime

/// Has the answers of a run judged in pairs, each pair in both orders, and never asks the same twice.
public struct EvaluationJudge: Sendable {
    public let folder: RunFolder
    public let spec: JudgeSpec
    private let against: String
    private let client: any JudgeClient

    /// - Parameters:
    ///   - pauses: seconds before a server that fails is asked again.
    ///   - makeRuntime: as of ``EvaluationRun``; for a judge that runs in this process.
    /// - Throws: ``EvaluationError``: there is no judge in the run's specification, or no key where it should be.
    public init(
        _ folder: RunFolder, pauses: [Double] = [1, 4, 10],
        makeRuntime: @Sendable (ModelSpec?, BaselineSpec?) -> Runtime
    ) throws {
        let record = try folder.specification().specification
        guard let spec = record.judge else {
            throw EvaluationError.invalidSpecification(
                "\(folder.url.path) has no judge; write one into a configuration and give it with --configuration")
        }
        self.folder = folder
        self.spec = spec
        against = spec.against ?? record.reference
        if let endpoint = spec.endpoint {
            client = try ServerJudge(spec, endpoint: endpoint, pauses: pauses)
        } else {
            client = ModelJudge(spec: spec, runtime: makeRuntime(spec.model, nil))
        }
    }

    /// What is still to be asked.
    public struct Plan: Sendable {
        /// One question.
        struct Item: Sendable {
            let a: String
            let b: String
            let order: JudgementLine.Order
            let prompt: String
        }

        let items: [Item]
        /// Replies to prompts that were asked before.
        let replies: [String: String]
        private let spec: JudgeSpec

        init(items: [Item], replies: [String: String], spec: JudgeSpec) {
            self.items = items
            self.replies = replies
            self.spec = spec
        }

        private var prompts: Set<String> { Set(items.map(\.prompt)).subtracting(replies.keys) }
        public var questions: Int { prompts.count }
        /// Of all questions, at four letters a token.
        public var inputTokens: Int { prompts.reduce(0) { $0 + $1.count / 4 } }
        /// Most that the replies may have.
        public var outputTokens: Int { questions * spec.maxTokens }
        /// At most, in the currency of the prices; nil without prices.
        public var cost: Double? {
            guard spec.inputPrice != nil || spec.outputPrice != nil else { return nil }
            return (Double(inputTokens) * (spec.inputPrice ?? 0) + Double(outputTokens) * (spec.outputPrice ?? 0)) / 1e6
        }

        /// For people, ahead of the first question.
        public var estimate: String {
            let cost = cost.map { ", at most \($0.significant(3)) at the prices given" } ?? ""
            return "\(spec.name) will be asked \(questions) questions: about \(inputTokens) tokens to read and at most "
                + "\(outputTokens) to write\(cost)"
        }
    }

    public func plan() throws -> Plan {
        let record = try folder.specification().specification
        let lines = try folder.judgements().filter { $0.judge == spec.name }
        let answers = try folder.answers()
        let byKey = Dictionary(answers.map { ($0.answer, $0) }, uniquingKeysWith: { first, _ in first })
        let known = Set(lines.map { [$0.a, $0.b, $0.order.rawValue] })
        var replies: [String: String] = [:]
        for line in lines {
            guard let a = byKey[line.a], let b = byKey[line.b] else { continue }
            replies[Self.prompt(a, b, line.order)] = line.raw
        }
        let rivals = Dictionary(grouping: answers.filter { $0.method == against }, by: \.prompt)
        let prompts = Set(Array(Set(answers.map(\.prompt))).sorted().prefix(spec.limit ?? .max))
        var items: [Plan.Item] = []
        for entry in record.methods where entry.label != against {
            let own = answers.filter { $0.method == entry.label && prompts.contains($0.prompt) }
            for a in own.sorted(by: { ($0.prompt, $0.seed) < ($1.prompt, $1.seed) }) {
                let candidates = (rivals[a.prompt] ?? []).sorted { $0.seed < $1.seed }
                guard let b = candidates.first(where: { $0.seed == a.seed }) ?? candidates.first else { continue }
                for order in JudgementLine.Order.allCases where !known.contains([a.answer, b.answer, order.rawValue]) {
                    items.append(
                        Plan.Item(a: a.answer, b: b.answer, order: order, prompt: Self.prompt(a, b, order)))
                }
            }
        }
        return Plan(items: items, replies: replies, spec: spec)
    }

    private static func prompt(_ a: AnswerLine, _ b: AnswerLine, _ order: JudgementLine.Order) -> String {
        let (first, second) = order == .ab ? (a, b) : (b, a)
        return JudgePrompt.text(question: a.questionText, first: first.response, second: second.response)
    }

    /// Asks what is missing, and appends each judgement as it comes.
    ///
    /// - Returns: judgements that were added.
    /// - Throws: ``EvaluationError``; `CancellationError`. What was answered until then is kept.
    public func run(onEvent: @escaping @Sendable (EvaluationEvent) -> Void) async throws -> Int {
        let plan = try plan()
        guard !plan.items.isEmpty else { return 0 }
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        onEvent(.notice(plan.estimate))
        var file = try LineFile<JudgementLine>(
            path: folder.judgementsFile.path, what: "judgements of a run", beginning: "{\"a\":"
        ) { _ in [] }
        // Equal questions are asked once.
        var groups: [(prompt: String, items: [Plan.Item])] = []
        var places: [String: Int] = [:]
        for item in plan.items {
            if let place = places[item.prompt] {
                groups[place].items.append(item)
            } else {
                places[item.prompt] = groups.count
                groups.append((item.prompt, [item]))
            }
        }
        onEvent(.began("judgements by \(spec.name)", known: 0, total: plan.items.count))
        try await withThrowingTaskGroup(of: (place: Int, reply: String).self) { tasks in
            var waiting = groups.indices.makeIterator()
            func start() {
                guard let place = waiting.next() else { return }
                let (prompt, known, client) = (groups[place].prompt, plan.replies[groups[place].prompt], client)
                tasks.addTask {
                    if let known { return (place, known) }
                    return (place, try await client.reply(to: prompt))
                }
            }
            // A model in this process answers one at a time.
            for _ in 0..<(spec.endpoint == nil ? 1 : spec.parallel) { start() }
            while let (place, reply) = try await tasks.next() {
                start()
                let scores = JudgePrompt.scores(in: reply)
                for item in groups[place].items {
                    let isSwapped = item.order == .ba
                    let line = JudgementLine(
                        a: item.a, b: item.b, order: item.order, scoreA: isSwapped ? scores?.second : scores?.first,
                        scoreB: isSwapped ? scores?.first : scores?.second, judge: spec.name, raw: reply)
                    try file.append(line, line: line)
                }
                onEvent(.advanced(groups[place].items.count))
            }
        }
        return plan.items.count
    }
}
