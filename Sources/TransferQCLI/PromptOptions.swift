import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQLlama
import TransferQRewards
import TransferQRuntime

/// What is asked.
struct PromptOptions: ParsableArguments {
    @Argument(help: "The prompt (default: read from --file, --messages or standard input; - reads standard input).")
    var prompt: String?

    @Option(help: "Read the prompt from a UTF-8 file.")
    var file: String?

    @Option(
        help: .rare("Read a conversation from a JSON file: [{\"role\": \"user\", \"content\": \"…\"}, …]."))
    var messages: String?

    @Option(help: "A system prompt.")
    var system: String?

    @Flag(help: .rare("Continue the prompt as plain text, without the model's chat template."))
    var raw = false

    @Flag(
        help: .rare(
            "With --raw: what the prompt spells of the model's special tokens, such as <|im_start|>, is meant as such.")
    )
    var special = false

    var form: PromptForm { raw ? special ? .rawWithMarkers : .raw : .chat }

    func validate() throws {
        if [prompt, file, messages].compactMap({ $0 }).count > 1 {
            throw ValidationError("give the prompt once: as an argument, with --file, or with --messages")
        }
        if raw, system != nil || messages != nil {
            throw ValidationError("--raw continues plain text, so it goes without --system and --messages")
        }
        if special, !raw {
            throw ValidationError(
                "--special goes with --raw: in a conversation, the chat template writes the special tokens")
        }
    }

    /// The conversation, its system prompt first.
    func conversation() throws -> [Message] {
        var conversation: [Message]
        if let messages {
            let data = Data(try read(messages).utf8)
            do {
                conversation = try RewardData.conversation(in: data, path: messages)
            } catch RewardError.badData(_, let line, let reason) {
                throw UsageError(
                    "\(messages) is no conversation; write [{\"role\": \"user\", \"content\": \"…\"}] in it (line \(line): "
                        + "\(reason))")
            }
        } else {
            // As in other programs, - is standard input.
            let written = prompt == "-" ? nil : prompt
            var text = try written ?? file.map(read) ?? read("-")
            if written == nil, text.hasSuffix("\n") { text.removeLast() }
            conversation = [Message(role: "user", content: text)]
        }
        guard conversation.contains(where: { $0.role != "system" && !$0.content.allSatisfy(\.isWhitespace) }) else {
            throw LlamaError.emptyPrompt
        }
        if let system { conversation.insert(Message(role: "system", content: system), at: 0) }
        return conversation
    }

    /// The text of a file, or of standard input for `-`.
    private func read(_ path: String) throws -> String {
        if path == "-", Console.isInputTerminal { Console.say("reading the prompt; end it with Ctrl-D") }
        let data: Data
        do {
            data =
                try path == "-"
                ? FileHandle.standardInput.readToEnd() ?? Data() : Data(contentsOf: URL(filePath: path))
        } catch {
            throw UsageError(
                path == "-"
                    ? "standard input cannot be read; give the prompt as an argument, or with --file"
                    : "\(path) cannot be read; check the path and its permissions")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw UsageError(
                "\(path == "-" ? "standard input" : path) is not valid UTF-8; convert it, for example with iconv")
        }
        return text
    }
}
