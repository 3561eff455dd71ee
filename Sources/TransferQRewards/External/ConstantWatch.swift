import Foundation
import Synchronization
import TransferQ

/// Where rewards in other processes say what looks wrong but is no error.
public enum RewardWarning {
    /// A line on standard error.
    @Sendable
    public static func print(_ sentence: String) {
        // Whoever has closed standard error does not want to know.
        try? FileHandle.standardError.write(contentsOf: Data("transferq: warning: \(sentence)\n".utf8))
    }
}

/// Notices a reward that says the same of every text, and says so once.
final class ConstantWatch: Sendable {
    /// Different texts with one reward that are a warning's worth.
    static let enough = 10

    private struct State {
        var value: Double?
        var texts: Set<Completion> = []
        var isOver = false
    }

    private let reward: String
    private let warn: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(reward: String, warn: @escaping @Sendable (String) -> Void) {
        self.reward = reward
        self.warn = warn
    }

    func note(_ rewards: [Double], of completions: [Completion]) {
        let constant = state.withLock { state -> Double? in
            for (reward, completion) in zip(rewards, completions) where !state.isOver {
                let value = state.value ?? reward
                state.value = value
                state.texts.insert(Completion(conversation: completion.conversation, text: completion.text))
                guard value == reward else {
                    // Its texts are not needed any more.
                    state = State(isOver: true)
                    return nil
                }
                if state.texts.count >= Self.enough {
                    state = State(isOver: true)
                    return value
                }
            }
            return nil
        }
        guard let constant else { return }
        warn(
            "the reward \(reward) gave \(constant) for each of the first \(Self.enough) different texts; a constant reward "
                + "steers nothing: check what it computes")
    }
}
