import TransferQ
import TransferQEvaluation
import TransferQRuntime

/// Turns the events of answers into chunks of a reply, or into one whole reply.
struct ReplyBuilder {
    let head: ReplyHead
    let plan: AnswerPlan
    private(set) var usage = ReplyUsage()
    private var choices: [ReplyChoice]
    private var notices: [String]
    private var steps: [[TraceLine]]
    private var figures: [ReplyFigures?]
    private var characters: [Int]
    private var hasBegun: [Bool]

    init(_ form: ReplyHead.Form, plan: AnswerPlan) {
        head = ReplyHead(form, model: plan.preset.name)
        self.plan = plan
        let count = plan.requests.count
        choices = (0..<count).map { ReplyChoice(form: form, index: $0, isPiece: false) }
        if plan.topLogProbabilities != nil {
            for index in choices.indices { choices[index].probabilities = [] }
        }
        notices = plan.notices
        steps = Array(repeating: [], count: count)
        figures = Array(repeating: nil, count: count)
        characters = Array(repeating: 0, count: count)
        hasBegun = Array(repeating: false, count: count)
    }

    private func trace(_ step: DecodingStep, _ choice: Int) -> TraceLine? {
        guard plan.isTraced else { return nil }
        return TraceLine(
            step, tokenizer: plan.preset.tokenizer, prompt: choice, conversation: plan.requests[choice].messages)
    }

    private func probabilities(_ step: DecodingStep) -> StepProbabilities? {
        plan.topLogProbabilities.map { StepProbabilities(step, tokenizer: plan.preset.tokenizer, top: $0) }
    }

    // MARK: Chunks

    /// A sentence for whoever reads along.
    func chunk(notice: String, choice: Int = 0) -> Reply {
        Reply(
            head: head, isChunk: true, choices: [ReplyChoice(form: head.form, index: choice, isPiece: true)],
            extra: Reply.Extra(notice: notice))
    }

    /// The chunk of an event; nil for one that shows nothing.
    ///
    /// - Throws: what an answer failed with.
    mutating func chunk(of event: AnswerFeed.Event) throws -> Reply? {
        let index = event.choice
        var piece = ReplyChoice(form: head.form, index: index, isPiece: true)
        piece.offset = characters[index]
        switch event.event {
        case .notice(let sentence):
            return isNew(sentence) ? chunk(notice: plan.preset.redacted(sentence), choice: index) : nil
        case .failure(let error): throw error
        case .step(let step):
            piece.isFirst = !hasBegun[index]
            hasBegun[index] = true
            piece.text = step.text
            piece.probabilities = probabilities(step).map { [$0] }
            characters[index] += step.text.unicodeScalars.count
            let line = trace(step, index)
            return Reply(
                head: head, isChunk: true, choices: [piece], extra: line.map { Reply.Extra(step: $0) })
        case .finished(let summary):
            usage.add(summary.usage)
            piece.finish = summary.finishReason
            return Reply(
                head: head, isChunk: true, choices: [piece],
                extra: Reply.Extra(figures: ReplyFigures(summary, plan: plan, choice: index)))
        }
    }

    /// The last chunk of a stream whose client has asked for it.
    var usageChunk: Reply { Reply(head: head, isChunk: true, usage: usage) }

    private mutating func isNew(_ sentence: String) -> Bool {
        guard !notices.contains(sentence) else { return false }
        notices.append(sentence)
        return true
    }

    // MARK: The whole

    /// - Throws: what an answer failed with.
    mutating func add(_ event: AnswerFeed.Event) throws {
        let index = event.choice
        switch event.event {
        case .notice(let sentence): _ = isNew(sentence)
        case .failure(let error): throw error
        case .step(let step):
            if let line = trace(step, index) { steps[index].append(line) }
            if let entry = probabilities(step) { choices[index].probabilities?.append(entry) }
        case .finished(let summary):
            usage.add(summary.usage)
            choices[index].text = summary.response
            choices[index].finish = summary.finishReason
            figures[index] = ReplyFigures(summary, plan: plan, choice: index)
        }
    }

    /// All choices with their figures; those of the first stand on top as well.
    var whole: Reply {
        var (choices, first) = (choices, ReplyFigures?.none)
        for index in choices.indices {
            var own = figures[index]
            own?.notices = notices.map(plan.preset.redacted)
            if plan.isTraced { own?.steps = steps[index] }
            first = first ?? own
            if choices.count > 1 { choices[index].figures = own }
        }
        return Reply(
            head: head, isChunk: false, choices: choices, usage: usage, extra: first.map { Reply.Extra(figures: $0) })
    }
}
