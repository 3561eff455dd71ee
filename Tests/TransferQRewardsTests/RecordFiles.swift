import Foundation
import Synchronization
import TransferQ
import TransferQRewards

/// Files of records, and what reading them says.
struct RecordFiles {
    let scratch = Scratch()

    func file(_ text: String, _ name: String = "data.jsonl") throws -> String {
        try file(Data(text.utf8), name)
    }

    func file(_ data: Data, _ name: String = "data.jsonl") throws -> String {
        let path = try scratch.folder().appending(path: name).path
        try data.write(to: URL(filePath: path))
        return path
    }

    /// What is said while a file is read.
    final class Notices: Sendable {
        private let lines = Mutex<[String]>([])

        func options(skipsBroken: Bool = false, ignoring: Set<String> = []) -> RecordOptions {
            RecordOptions(skipsBroken: skipsBroken, ignoredKeys: ignoring) { line in
                self.lines.withLock { $0.append(line) }
            }
        }

        var text: String { lines.withLock { $0.joined(separator: "\n") } }
    }

    /// "user:Q? assistant:A" → answer, one line an answer.
    static func shown(_ data: RewardData) -> [String] {
        data.completions.map { completion in
            (completion.conversation.map { "\($0.role):\($0.content)" } + ["→ \(completion.text)"]).joined(
                separator: " ")
        }
    }

    func complaint(_ path: String, _ options: RecordOptions = RecordOptions()) -> String {
        do {
            let read = try RewardData.read(path, options: options)
            return "no complaint, but \(Self.shown(read.data))"
        } catch { return "\(error)" }
    }
}
