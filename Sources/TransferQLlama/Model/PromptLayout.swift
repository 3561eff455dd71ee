import Foundation
public import TransferQ
import TransferQDigest

/// A conversation laid out for a model, in its tokens.
public struct PromptLayout: Sendable {
    public let tokens: [Token]
    /// What the template made of the conversation, or the text as it was given.
    public let text: String
    /// Whether the system prompt went into the first turn of the user, because the template has no place for it.
    public let isSystemFolded: Bool
    /// The date that the template was told; nil when it did not ask.
    public let date: TemplateDate?
}

extension LlamaModel {
    /// Tells the way that this model's conversations are laid out from others, whatever day it is: 16 hexadecimal digits
    /// of the SHA-256 of a question without a system prompt, as the template has it.
    ///
    /// States of a prompt that was laid out otherwise are other states, so heads and kept states say which it was.
    ///
    /// - Throws: as ``layOut(_:isOpen:date:)``.
    public func layoutFingerprint() throws -> String {
        let question = [Message(role: "user", content: "?")]
        let layout = try layOut(question, date: TemplateDate(Date(timeIntervalSince1970: 0)))
        return SHA256.hash(data: Data(layout.text.utf8)).prefix(8).hexadecimal
    }
}

extension ChatTemplate {
    /// A rendering of a conversation, its system prompt in the first turn of the user where the template has no role for
    /// it.
    struct Fitted {
        let rendering: Rendering
        let isSystemFolded: Bool
    }

    /// Renders a conversation; where the template refuses the system prompt, or leaves it out, in the form that has it
    /// in front of the first turn of the user, an empty line between.
    ///
    /// - Throws: ``Failure``; where both forms fail, what was said about the conversation as it is.
    func fitted(_ messages: [Message], isOpen: Bool, date: TemplateDate) throws -> Fitted {
        let folded = Self.folded(messages)
        let rendering: Rendering
        do { rendering = try render(messages, isOpen: isOpen, date: date) } catch {
            // The other form says nothing new when it fails as well.
            guard let folded, let fitting = try? render(folded, isOpen: isOpen, date: date) else { throw error }
            return Fitted(rendering: fitting, isSystemFolded: true)
        }
        if let folded, try leavesOutSystem(messages, rendering, date: date) {
            return Fitted(rendering: try render(folded, isOpen: isOpen, date: date), isSystemFolded: true)
        }
        return Fitted(rendering: rendering, isSystemFolded: false)
    }

    /// Whether nothing of the system prompt is in a rendering. A template may write it in another form, so a word that
    /// stays the same in most forms is asked for as well.
    private func leavesOutSystem(_ messages: [Message], _ rendering: Rendering, date: TemplateDate) throws -> Bool {
        let content = messages[0].content.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !content.isEmpty, !rendering.text.contains(content) else { return false }
        let probe = "transferqsystemprobe"
        let turns = [Message(role: messages[0].role, content: probe)] + messages.dropFirst()
        // Refused or not, the conversation itself was laid out.
        return (try? render(turns, isOpen: true, date: date).text.lowercased().contains(probe)) == false
    }

    /// The conversation with its leading system turns in the first turn of the user; nil without either.
    private static func folded(_ messages: [Message]) -> [Message]? {
        let systems = messages.prefix { $0.role == "system" }
        var rest = Array(messages.dropFirst(systems.count))
        guard !systems.isEmpty, let user = rest.firstIndex(where: { $0.role == "user" }) else { return nil }
        let texts = systems.map(\.content) + [rest[user].content]
        rest[user] = Message(role: "user", content: texts.joined(separator: "\n\n"))
        return rest
    }

    /// Which message a template refuses: the last of the shortest beginning that it refuses in the same words.
    func refusedMessage(of messages: [Message], isOpen: Bool, date: TemplateDate, failure: Failure) -> Int? {
        (1...max(1, messages.count)).first { count in
            guard count <= messages.count else { return false }
            do { _ = try render(Array(messages.prefix(count)), isOpen: isOpen, date: date) } catch {
                return error as? Failure == failure
            }
            return false
        }
    }

    /// The text that the template writes behind an assistant's answer, up to the end of a closed conversation.
    func closing() -> String? {
        // Which day it is does not matter; the process's own date must not be asked for before it can be set.
        let date = TemplateDate(Date(timeIntervalSince1970: 0))
        let answer = "transferqanswerprobe"
        let turns = [Message(role: "user", content: "Hi"), Message(role: "assistant", content: answer)]
        // A template that refuses these two turns has no closing that could be known.
        guard let pieces = try? render(turns, isOpen: false, date: date).pieces,
            let last = pieces.lastIndex(where: { $0.isInput && $0.text.contains(answer) })
        else { return nil }
        return pieces[(last + 1)...].map(\.text).joined()
    }
}
