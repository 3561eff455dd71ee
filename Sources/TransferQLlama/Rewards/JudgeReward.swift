public import TransferQ

/// `judge:CONFIG`: log P(yes) − log P(no), in nats, as the answer to a question about the response under any model.
public struct JudgeReward: RewardModel {
    public let name: String
    /// With {response}, and perhaps {conversation} and {prompt}, in it.
    let question: String
    let yes: String
    let no: String
    /// What the reward was described in, if it was a file, and the files of its model.
    public let files: [String]
    private let reader: TextReader

    /// - Parameters:
    ///   - question: a template; {response} stands for the response, {prompt} for the user's last turn, {conversation}
    ///     for all turns before the response.
    ///   - files: what the reward was described in, besides the files of the model.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` for a question without {response}, or
    ///   without two different answers.
    public init(
        name: String, question: String, yes: String = "Yes", no: String = "No", reader: TextReader,
        files: [String] = []
    ) async throws {
        guard question.contains("{response}") else {
            throw TransferQError.rewardSpecification(
                specification: name, reason: "the question must hold {response} where the answer goes")
        }
        let (yesTokens, noTokens) = (await reader.tokens(of: yes), await reader.tokens(of: no))
        guard !yesTokens.isEmpty, !noTokens.isEmpty, yesTokens != noTokens else {
            throw TransferQError.rewardSpecification(
                specification: name, reason: "yes and no must be two different words, for example Yes and No")
        }
        self.name = name
        self.question = question
        self.yes = yes
        self.no = no
        self.reader = reader
        self.files = files + reader.files
    }

    public var range: ClosedRange<Double>? { nil }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        let questions = completions.map { [Message(role: "user", content: filled($0))] }
        return try await reader.logOdds(of: yes, over: no, after: questions)
    }

    private func filled(_ completion: Completion) -> String {
        let turns = completion.conversation.map { "\($0.role): \($0.content)" }.joined(separator: "\n")
        let prompt = completion.conversation.last { $0.role == "user" }?.content ?? ""
        // One pass, so that braces in a text stay what they are.
        return question.replacing(/\{(response|prompt|conversation)\}/) { match in
            switch match.1 {
            case "response": completion.text
            case "prompt": prompt
            default: turns
            }
        }
    }
}
