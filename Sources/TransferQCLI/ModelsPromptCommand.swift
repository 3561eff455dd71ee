import ArgumentParser
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQLlama
import TransferQRuntime

extension ModelsCommand {
    /// Shows what a model reads.
    struct Prompt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a prompt as a model reads it: laid out by its chat template, and in tokens.",
            discussion: """
                Takes the prompt as generate does. Special tokens are marked with *; text of people never holds one.

                  transferq models prompt "How do I make tea?"
                  transferq models prompt --messages conversation.json --model model.gguf --format json
                  transferq models prompt --raw --special "<|im_start|>user"
                """)

        @Option(help: "A known name or a GGUF file (default: the demonstration model).")
        var model: String?

        @OptionGroup(title: "Prompt") var prompt: PromptOptions

        @Option(
            help: ArgumentHelp(
                "What a chat template is told that asks for the date (default: now).",
                valueName: "YYYY-MM-DD[THH:MM[:SS]]"))
        var date: TemplateDate?

        @Option(help: "text, or one JSON object.")
        var format: OutputFormat = .text

        func run() async throws {
            if let date { TemplateDate.set(date) }
            let conversation = try prompt.conversation()
            let model = try await ModelFiles.load(await ModelFiles.path(model))
            let layout: PromptLayout
            if prompt.form == .chat {
                layout = try model.layOut(conversation)
                for notice in layout.notices(of: model) { Console.sayOnce(notice) }
            } else {
                layout = try model.layOut(
                    continuing: conversation[0].content, readsMarkers: prompt.form == .rawWithMarkers)
            }
            let report = Report(layout, model: model)
            switch format {
            case .json: Console.print(try JSON.pretty(report))
            case .text:
                Console.print(layout.text)
                Console.print("")
                for token in report.tokens {
                    Console.print("\(token.isSpecial ? "*" : " ") \(token.id)\t\(token.text.debugDescription)")
                }
                Console.print("\(report.tokens.count) tokens")
            }
        }

        struct Report: Encodable {
            struct Piece: Encodable {
                let id: Token
                let text: String
                let isSpecial: Bool
            }

            let text: String
            let tokens: [Piece]
            let systemFolded: Bool
            /// What the template was told when it asked for the date; null when it did not.
            let templateDate: String?

            init(_ layout: PromptLayout, model: LlamaModel) {
                text = layout.text
                let tokenizer = model.tokenizer
                tokens = layout.tokens.map { token in
                    Piece(id: token, text: tokenizer.text(of: token), isSpecial: tokenizer.isSpecial(token))
                }
                systemFolded = layout.isSystemFolded
                templateDate = layout.date?.description
            }

            private enum CodingKeys: CodingKey {
                case text, tokens, systemFolded, templateDate
            }

            /// Written out so that what is unknown is null rather than missing.
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: CodingKeys.self)
                try container.encode(text, forKey: .text)
                try container.encode(tokens, forKey: .tokens)
                try container.encode(systemFolded, forKey: .systemFolded)
                try container.encode(templateDate, forKey: .templateDate)
            }
        }
    }
}
