import Foundation
import TransferQ
public import TransferQLlama
import TransferQRewards

/// One prompt of an evaluation.
struct NumberedPrompt: Sendable {
    /// Its place in the file, from 0 on.
    let number: Int
    let messages: [Message]
    let hash: String
}

extension PromptSource {
    /// How many prompts there are.
    ///
    /// - Throws: what ``EvaluationRun/makeAnswers(onEvent:)`` throws for the file.
    public func count(in store: ModelStore, notice: @escaping @Sendable (String) -> Void) async throws -> Int {
        try await prompts(in: store, notice: notice).count
    }

    /// The prompts, in the order of the file.
    ///
    /// - Parameters:
    ///   - store: keeps files that come from elsewhere.
    ///   - notice: gets sentences about what was left out or looks odd.
    /// - Throws: ``StoreError`` for a file that cannot be brought; ``RewardError`` with the number of a line that cannot be read; ``EvaluationError`` where nothing is left.
    func prompts(
        in store: ModelStore, notice: @escaping @Sendable (String) -> Void
    ) async throws -> [NumberedPrompt] {
        let file = try await store.data(file, notice: notice)
        let last = limit.map { $0 > .max - offset ? .max : $0 + offset } ?? .max
        let conversations: [[Message]]
        if file.lowercased().hasSuffix(".txt") {
            conversations = try lines(of: file, notice: notice)
        } else {
            let options = RecordOptions(skipsBroken: skipBroken, ignoredKeys: Set(ignoredKeys), notice: notice)
            conversations = try RewardData.prompts(file, limit: last, options: options)
        }
        let first = system.map { [Message(role: "system", content: $0)] } ?? []
        let numbered = Array(conversations.prefix(last).enumerated().dropFirst(offset))
        guard !numbered.isEmpty else {
            throw EvaluationError.invalidSpecification(
                "prompts: \(file) holds \(conversations.count) prompts, so none is left behind the first \(offset)")
        }
        return try numbered.map { number, messages in
            let messages = first + messages
            return NumberedPrompt(number: number, messages: messages, hash: try AnswerKey.prompt(messages))
        }
    }

    /// A plain text: every line that is not blank is a prompt.
    private func lines(of file: String, notice: (String) -> Void) throws -> [[Message]] {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw EvaluationError.invalidSpecification("prompts: \(file) cannot be read; check the path")
        }
        var broken: [Int] = []
        var prompts: [[Message]] = []
        for (index, line) in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            guard let text = String(validating: line, as: UTF8.self) else {
                broken.append(index + 1)
                guard skipBroken else {
                    throw EvaluationError.invalidSpecification(
                        "prompts: line \(index + 1) of \(file) is not valid UTF-8; convert the file, or leave such lines "
                            + "out with skipBroken: true")
                }
                continue
            }
            let prompt = text.trimmingCharacters(in: .whitespacesAndNewlines)
            if !prompt.isEmpty { prompts.append([Message(role: "user", content: prompt)]) }
        }
        if !broken.isEmpty {
            let numbers = broken.map(String.init).joined(separator: ", ")
            notice("\(file): skipped lines that are not valid UTF-8: \(numbers)")
        }
        return prompts
    }
}
