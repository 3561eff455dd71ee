import Foundation
public import TransferQ

/// What must not be torn apart when data is split: answers to one prompt are more alike than answers to different ones, so
/// a prompt on both sides of a split makes what is measured on the one side look better than it is.
public struct PromptGroups: Sendable {
    /// The group of each item, numbered from 0 in the order of their first items.
    public let numbers: [Int]
    /// Items of each group, in their order.
    public let members: [[Int]]

    /// Items share a group when an answer of the one and an answer of the other follow the same conversation, white space
    /// around turns aside, or, where there is no conversation, are the same text.
    ///
    /// - Parameter items: the answers of each item: both of a pair, or the one of a text.
    public init(_ items: [[Completion]]) {
        var parents = Array(items.indices)
        func root(_ item: Int) -> Int {
            var item = item
            while parents[item] != item {
                parents[item] = parents[parents[item]]
                item = parents[item]
            }
            return item
        }
        var owners: [[String]: Int] = [:]
        for (item, answers) in items.enumerated() {
            for answer in answers {
                let key = Self.key(of: answer)
                guard let owner = owners[key] else {
                    owners[key] = item
                    continue
                }
                let (one, other) = (root(owner), root(item))
                parents[max(one, other)] = min(one, other)
            }
        }
        self.init(labels: items.indices.map(root))
    }

    /// Items with equal labels share a group.
    public init<Label: Hashable>(labels: [Label]) {
        var places: [Label: Int] = [:]
        var members: [[Int]] = []
        numbers = labels.enumerated().map { item, label in
            let place = places[label, default: members.count]
            places[label] = place
            if place == members.count { members.append([]) }
            members[place].append(item)
            return place
        }
        self.members = members
    }

    /// What tells the prompt of one answer from that of another.
    public static func key(of answer: Completion) -> [String] {
        answer.conversation.isEmpty ? [answer.text] : key(of: answer.conversation)
    }

    /// What tells one conversation from another.
    public static func key(of conversation: [Message]) -> [String] {
        conversation.flatMap { [$0.role, $0.content.trimmingCharacters(in: .whitespacesAndNewlines)] }
    }

    /// Parts of nearly equal size that tear no group apart, the same for the same seed: at most `number`, at least two
    /// wherever there are two items.
    ///
    /// Where all items share one group, they are split nevertheless: what is measured then holds for that prompt.
    public func folds(_ number: Int, seed: UInt64) -> [[Int]] {
        let groups = members.count > 1 ? members : numbers.indices.map { [$0] }
        let noise = Noise(seed: seed)
        let order = groups.indices.sorted { noise.derived($0).uniform < noise.derived($1).uniform }
        var folds = [[Int]](repeating: [], count: max(1, min(number, groups.count)))
        for group in order {
            let smallest = folds.indices.min { folds[$0].count < folds[$1].count } ?? 0
            folds[smallest] += groups[group]
        }
        return folds
    }
}
