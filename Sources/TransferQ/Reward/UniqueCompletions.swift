/// Completions of which each is scored once, however often it occurs.
///
/// Equal are those of which a reward is told the same. It is told the tokens, so two ways to spell one text are two
/// completions; hidden states follow from the rest.
struct UniqueCompletions {
    private struct Key: Hashable {
        let tokens: [Token]
        /// Byte by byte: `==` of strings takes texts for equal that differ in their code points.
        let text: [UInt8]
        let isFinished: Bool
        let conversation: [Message]
    }

    /// In the order of their first occurrence.
    let completions: [Completion]
    /// For every completion given, where its like is in `completions`.
    let places: [Int]

    init(_ all: some Sequence<Completion>) {
        var known: [Key: Int] = [:]
        var unique: [Completion] = []
        places = all.map { completion in
            let key = Key(
                tokens: completion.tokens, text: Array(completion.text.utf8), isFinished: completion.isFinished,
                conversation: completion.conversation)
            if let place = known[key] { return place }
            known[key] = unique.count
            unique.append(completion)
            return unique.count - 1
        }
        completions = unique
    }

    /// Scores each of them once, and counts what the reward read.
    func scores(by reward: any RewardModel, usage: inout Usage) async throws -> [RewardScore] {
        usage.add(scored: completions)
        let scores = try await reward.checkedScores(for: completions)
        return places.map { scores[$0] }
    }
}

extension Usage {
    /// Counts texts that a reward reads.
    mutating func add(scored completions: some Sequence<Completion>) {
        for completion in completions {
            rewardCalls += 1
            scoredTokens += completion.tokens.count
        }
    }
}
