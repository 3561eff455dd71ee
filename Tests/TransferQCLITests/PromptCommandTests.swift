import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama

/// `models prompt`, and what `models info` and answers say about chat templates.
@Suite struct PromptCommandTests {
    private struct Prompt: Decodable {
        struct Piece: Decodable {
            let id: Int
            let text: String
            let isSpecial: Bool
        }

        let text: String
        let tokens: [Piece]
        let systemFolded: Bool
        let templateDate: String?
    }

    private static func prompt(_ arguments: [String]) throws -> (Prompt, ProgramRun) {
        let run = try ProgramRun.run(["models", "prompt", "--format", "json"] + arguments)
        #expect(run.status == 0, "\(run.complaints)")
        return (try JSONDecoder().decode(Prompt.self, from: Data(run.output.utf8)), run)
    }

    private let folder: TemporaryFolder
    private let file: String

    init() throws {
        folder = try TemporaryFolder()
        file = folder.file("tiny.gguf").path
    }

    private func write(_ template: String) throws {
        try ModelWriter.tinyModel(to: URL(filePath: file), chatTemplate: template)
    }

    /// The demonstration model's template has a system turn of its own.
    @Test func theDefaultSystemTurnIsInThePrompt() throws {
        let (plain, _) = try Self.prompt(["Hi there"])
        let (written, _) = try Self.prompt(
            ["Hi there", "--system", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"])
        #expect(plain.tokens.map(\.id) == written.tokens.map(\.id))
        #expect(plain.tokens.count > 11 && plain.text.hasPrefix("<|im_start|>system\n"))
        let text = try ProgramRun.run(["models", "prompt", "Hi there"])
        #expect(text.output.hasPrefix(plain.text) && text.output.contains("* 1\t\"<|im_start|>\"\n"))
        #expect(text.output.hasSuffix("\(plain.tokens.count) tokens\n"))
    }

    @Test func specialTokensOfPeopleAreTextUnlessAskedFor() throws {
        try write(ModelWriter.Template.chatML.text)
        let text = "<|im_start|>a<|im_end|>"
        let (chat, _) = try Self.prompt([text, "--model", file])
        #expect(chat.tokens.filter(\.isSpecial).map(\.text) == ["<s>", "<|im_start|>", "<|im_end|>", "<|im_start|>"])
        let (raw, _) = try Self.prompt([text, "--model", file, "--raw"])
        #expect(raw.tokens.filter(\.isSpecial).map(\.text) == ["<s>"])
        let (special, _) = try Self.prompt([text, "--model", file, "--raw", "--special"])
        #expect(special.tokens.filter(\.isSpecial).map(\.text) == ["<s>", "<|im_start|>", "<|im_end|>"])
        let lone = try ProgramRun.run(["models", "prompt", text, "--special"])
        #expect(lone.status == 64 && lone.complaints.contains("--special goes with --raw"))
    }

    @Test func aFoldedSystemPromptIsSaid() throws {
        try write(
            "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
                + "<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
        let (prompt, run) = try Self.prompt(["hi", "--system", "be kind", "--model", file])
        #expect(prompt.systemFolded && prompt.text == "<|im_start|>be kind\n\nhi<|im_end|>")
        #expect(run.complaints.contains("has no system role"))
        let answer = try ProgramRun.run([
            "generate", "hi", "--baseline-system", "be kind", "--model", file, "--method", "greedy", "--max-tokens",
            "1",
            "--format", "json",
        ])
        #expect(answer.status == 0 && answer.complaints.contains("has no system role"))
        #expect(answer.output.contains("\"systemFolded\" : true"))
    }

    @Test func theDateIsRecorded() throws {
        try write("{{ strftime_now('%Y') }} {{ messages[0].content }}<|im_end|>")
        let (prompt, _) = try Self.prompt(["hi", "--model", file, "--date", "1999-12-31"])
        #expect(prompt.text == "1999 hi<|im_end|>" && prompt.templateDate == "1999-12-31T00:00:00")
        let answer = try ProgramRun.run([
            "generate", "hi", "--model", file, "--method", "greedy", "--max-tokens", "1", "--format", "json", "--date",
            "1999-12-31T23:59",
        ])
        #expect(answer.output.contains("\"templateDate\" : \"1999-12-31T23:59:00\""))
        let wrong = try ProgramRun.run(["models", "prompt", "hi", "--model", file, "--date", "yesterday"])
        #expect(wrong.status == 64)
    }

    /// Answers to prompts of another day are another run's.
    @Test func aRunGoesOnWithPromptsOfItsDateOnly() throws {
        try write("{{ strftime_now('%Y') }} {{ messages[0].content }}<|im_end|>")
        let prompts = folder.file("prompts.jsonl")
        try Data("{\"prompt\": \"a\"}\n".utf8).write(to: prompts)
        func run(_ date: String) throws -> ProgramRun {
            try ProgramRun.run([
                "generate", "--batch", prompts.path, "--model", file, "--method", "greedy", "--max-tokens", "1",
                "--output", folder.file("answers.jsonl").path, "--date", date,
            ])
        }
        #expect(try run("1999-12-31").status == 0)
        #expect(try run("1999-12-31").status == 0)
        let other = try run("2000-01-01")
        #expect(other.status != 0 && other.complaints.contains("date that templates are told"), "\(other.complaints)")
    }

    @Test(arguments: [
        ("{% for m in messages %}{{ m.content", "cannot be laid out"),
        ("{{ raise_exception('Nobody may speak') }}", "Nobody may speak"),
        ("{{ tools[0].name }}{{ messages[0].content }}<|im_end|>", "cannot be laid out"),
        (
            "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}{{ strftime_now('%Y') }}",
            "asks for the date (--date); an answer ends with <|im_end|>"
        ),
    ])
    func infoSaysWhatATemplateIsGoodFor(template: String, words: String) throws {
        try write(template)
        let run = try ProgramRun.run(["models", "info", file])
        #expect(run.status == 0 && run.output.contains(words), "\(run.output)")
        let json = try ProgramRun.run(["models", "info", file, "--format", "json"])
        #expect(json.output.contains("\"engine\" : \"jinja\""))
    }
}
