import Foundation
import Testing
import TransferQ
import TransferQRewards

/// Every dialect of prompts and answers that people have: understood as meant, or refused by its name.
@Suite struct RecordTests {
    private let files = RecordFiles()

    private static let ask = #"{"role": "user", "content": "Sky?"}"#
    private static let blue = #"{"role": "assistant", "content": "Blue."}"#
    private static let red = #"{"role": "assistant", "content": "Red."}"#
    private static let both = ["user:Sky? → Blue.", "user:Sky? → Red."]

    static let understood: [(name: String, record: String, answers: [String])] = [
        ("texts", #"{"prompt": "Sky?", "chosen": "Blue.", "rejected": "Red."}"#, both),
        ("UltraFeedback", #"{"prompt": "Sky?", "chosen": [\#(ask), \#(blue)], "rejected": [\#(ask), \#(red)]}"#, both),
        (
            "UltraFeedback with messages",
            #"{"prompt": "Sky?", "prompt_id": "f0", "messages": [\#(ask), \#(blue)], "chosen": [\#(ask), \#(blue)], "#
                + #""rejected": [\#(ask), \#(red)], "score_chosen": 7.5}"#, both
        ),
        ("TRL", #"{"prompt": [\#(ask)], "chosen": [\#(blue)], "rejected": [\#(red)]}"#, both),
        ("TRL, prompt inside", #"{"chosen": [\#(ask), \#(blue)], "rejected": [\#(ask), \#(red)]}"#, both),
        (
            "TRL, prompt beside and inside",
            #"{"prompt": [\#(ask)], "chosen": [\#(ask), \#(blue)], "rejected": [\#(ask), \#(red)]}"#, both
        ),
        (
            "the prompt is the last turn of several",
            #"{"prompt": "Sky?", "chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, "#
                + #"\#(ask), \#(blue)], "rejected": [\#(ask), \#(red)]}"#,
            ["user:Hi assistant:Yes? user:Sky? → Blue.", "user:Sky? → Red."]
        ),
        (
            "a system turn before the prompt in the answer",
            #"{"prompt": "Sky?", "chosen": [{"role": "system", "content": "S"}, \#(ask), \#(blue)], "rejected": [\#(red)]}"#,
            ["system:S user:Sky? → Blue.", "user:Sky? → Red."]
        ),
        (
            "a system turn in the prompt only",
            #"{"prompt": [{"role": "system", "content": "S"}, \#(ask)], "chosen": [\#(ask), \#(blue)], "#
                + #""rejected": [\#(red)]}"#,
            ["system:S user:Sky? → Blue.", "system:S user:Sky? → Red."]
        ),
        (
            "hh-rlhf, prompt apart",
            #"{"prompt": "\n\nHuman: Sky?\n\nAssistant:", "chosen": " Blue.", "rejected": " Red."}"#, both
        ),
        (
            "hh-rlhf, prompt beside and inside",
            #"{"prompt": "\n\nHuman: Sky?\n\nAssistant:", "chosen": "\n\nHuman: Sky?\n\nAssistant: Blue.", "#
                + #""rejected": "\n\nHuman: Sky?\n\nAssistant: Red."}"#, both
        ),
        (
            "hh-rlhf with CRLF",
            #"{"chosen": "\r\n\r\nHuman: Sky?\r\n\r\nAssistant: Blue.", "rejected": "\r\n\r\nHuman: Sky?\r\n\r\nAssistant: "#
                + #"Red."}"#, both
        ),
        (
            "hh-rlhf, prompt without its cue",
            #"{"prompt": "\n\nHuman: Sky?", "chosen": "Blue.", "rejected": "Red."}"#, both
        ),
        ("question", #"{"question": "Sky?", "chosen": "Blue.", "rejected": "Red."}"#, both),
        (
            "Orca", #"{"system": "Be exact.", "question": "Sky?", "chosen": "Blue.", "rejected": "Red."}"#,
            ["system:Be exact. user:Sky? → Blue.", "system:Be exact. user:Sky? → Red."]
        ),
        (
            "LLaMA-Factory, Alpaca",
            #"{"instruction": "Add", "input": "1 2", "history": [["Hi", "Yes?"]], "chosen": "3", "rejected": "4"}"#,
            ["user:Hi assistant:Yes? user:Add\n\n1 2 → 3", "user:Hi assistant:Yes? user:Add\n\n1 2 → 4"]
        ),
        (
            "LLaMA-Factory, ShareGPT",
            #"{"conversations": [{"from": "human", "value": "Sky?"}], "chosen": {"from": "gpt", "value": "Blue."}, "#
                + #""rejected": {"from": "gpt", "value": "Red."}}"#, both
        ),
        (
            "RewardBench 2",
            #"{"prompt": "Sky?", "chosen": ["Blue."], "rejected": ["Red.", "Pink."], "num_correct": 1}"#,
            ["user:Sky? → Blue.", "user:Sky? → Red.", "user:Sky? → Blue.", "user:Sky? → Pink."]
        ),
        (
            "content parts",
            #"{"prompt": [{"role": "user", "content": [{"type": "text", "text": "Sk"}, {"type": "text", "text": "y?"}]}], "#
                + #""chosen": [\#(blue)], "rejected": [\#(red)]}"#, both
        ),
        (
            "the context is in the prompt",
            #"{"prompt": "Sky?", "context": "Sky", "chosen": "Blue.", "rejected": "Red."}"#, both
        ),
        ("keys with null", #"{"prompt": "Sky?", "system": null, "chosen": "Blue.", "rejected": "Red."}"#, both),
        ("KTO", #"{"prompt": "Sky?", "completion": "Blue.", "label": true}"#, ["user:Sky? → Blue."]),
        ("KTO, messages", #"{"prompt": [\#(ask)], "completion": [\#(blue)], "label": false}"#, ["user:Sky? → Blue."]),
        ("KTO, LLaMA-Factory", #"{"messages": [\#(ask), \#(blue)], "kto_tag": true}"#, ["user:Sky? → Blue."]),
        ("a judged response", #"{"prompt": "Sky?", "response": "Blue.", "label": 0}"#, ["user:Sky? → Blue."]),
        (
            "ShareGPT", #"{"conversations": [{"from": "human", "value": "Sky?"}, {"from": "gpt", "value": "Blue."}]}"#,
            ["user:Sky? → Blue."]
        ),
        ("messages", #"{"messages": [\#(ask), \#(blue)]}"#, ["user:Sky? → Blue."]),
        ("Alpaca", #"{"instruction": "Sky?", "input": "", "output": "Blue."}"#, ["user:Sky? → Blue."]),
        ("question and answer", #"{"question": "Sky?", "answer": "Blue."}"#, ["user:Sky? → Blue."]),
        (
            "a response that goes on in the human's name", #"{"prompt": "Sky?", "response": "Blue.\n\nHuman: And?"}"#,
            ["user:Sky? → Blue.\n\nHuman: And?"]
        ),
    ]

    @Test(arguments: understood.indices) func formsAreUnderstood(index: Int) throws {
        let (name, record, answers) = Self.understood[index]
        #expect(
            try RecordFiles.shown(RewardData.read(files.file(record + "\n" + record)).data) == answers + answers,
            "\(name)")
        // The same as a list, over several lines.
        let list = "[\n\(record),\n\n \(record.replacing(", \"", with: ",\n\""))\n]\n"
        #expect(
            try RecordFiles.shown(RewardData.read(files.file(list, "data.json")).data) == answers + answers,
            "\(name), list")
        // And as prompts.
        let prompt = try #require(try RewardData.prompts(files.file(record)).first)
        #expect(
            answers[0].hasPrefix(prompt.map { "\($0.role):\($0.content)" }.joined(separator: " ") + " →"), "\(name)")
    }

    static let refused: [(record: String, sentences: [String])] = [
        (
            #"{"question_id": 81, "category": "writing", "turns": ["a", "b"]}"#,
            ["MT-Bench", "jq -c '{prompt: .turns[0]}'"]
        ),
        (#"{"human_ref_A": "a", "human_ref_B": "b", "history": "h", "labels": 1}"#, ["SHP", "jq -c 'if .labels == 1"]),
        (
            #"{"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 1}"#,
            ["PKU-SafeRLHF", "jq -c"]
        ),
        (
            #"{"context": [\#(ask)], "response1": "a", "response2": "b", "overall_preference": 1}"#,
            ["HelpSteer3", "jq -c"]
        ),
        (#"{"question": "q", "response_j": "a", "response_k": "b"}"#, ["Stack Exchange", "jq -c"]),
        (#"{"prompt": "p", "chosen_response": "a", "rejected_response": "b"}"#, ["chosen_response", "jq -c"]),
        (#"{"conversation_a": [\#(ask)], "conversation_b": [\#(ask)], "winner": "tie"}"#, ["Chatbot Arena", "jq -c"]),
        (#"{"prompt": "p", "answers": [{"answer": "a", "rank": 1}]}"#, ["Nectar", "jq -c"]),
        (#"{"instruction": "p", "completions": [{"response": "a", "overall_score": 1}]}"#, ["UltraFeedback", "jq -c"]),
        (#"{"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []}"#, ["OpenAI", "jq -c"]),
        (#"{"prompt": "p", "completions": ["a"], "labels": [true]}"#, ["stepwise", "jq -c"]),
        (
            #"{"data": [{"prompt": "p", "chosen": "a", "rejected": "b"}]}"#,
            ["under the key \"data\"", "jq -c '.data[]'"]
        ),
        (#"{"prompt": {"0": "p"}, "chosen": {"0": "a"}, "rejected": {"0": "b"}}"#, ["by columns", "orient="]),
        (ask, ["this is a message", "jq -c '{messages: .}'"]),
        ("[\(ask), \(blue)]", ["this is a message", "jq -c '{messages: .}'"]),
        (#"["a", "b"]"#, ["this is a text", "jq -c '.[] | {prompt: .}'"]),
        (#"{"chosen": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nyes", "rejected": "no"}"#, ["ChatML"]),
        (#"{"chosen": "Human: Hi\nAssistant: yes", "rejected": "no"}"#, ["single newlines"]),
        (
            #"{"messages": [\#(ask), {"role": "assistant", "content": null, "tool_calls": [{}]}]}"#,
            ["turn 2", "calls a tool"]
        ),
        (#"{"messages": [\#(ask), {"role": "assistant", "content": null}]}"#, ["turn 2 of messages is null"]),
        (
            #"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, \#(blue)]}"#,
            ["image_url", "only text"]
        ),
        (#"{"prompt": null, "chosen": "a", "rejected": "b"}"#, ["prompt is null"]),
        (#"{"prompt": "p", "chosen": null, "rejected": "b"}"#, ["chosen is null"]),
        (
            #"{"prompt": "p", "chosen": [\#(ask), \#(blue)], "rejected": "b"}"#,
            ["does not hold the prompt", "either", "or"]
        ),
        (#"{"prompt": [\#(ask), \#(blue)], "chosen": "a", "rejected": "b"}"#, ["the prompt ends with the assistant's"]),
        (
            #"{"prompt": "p", "response": "a", "label": "toxic"}"#,
            ["a label must be", "\"toxic\"", "--ignore-key label"]
        ),
        (#"{"prompt": "p", "response": "a", "output": "b"}"#, ["response and output", "--ignore-key"]),
        (#"{"prompt": "p"}"#, ["no answer", "its keys are prompt"]),
        (#"{"Prompt": "p", "Chosen": "a", "Rejected": "b"}"#, ["it needs", "Chosen, Prompt, Rejected"]),
        (
            #"{"prompt": "p", "context": "France", "chosen": "a", "rejected": "b"}"#,
            ["\"context\"", "--ignore-key context"]
        ),
        (#"{"prompt": "p", "question": "q", "chosen": "a", "rejected": "b"}"#, ["\"question\"", "looks like"]),
        (#"{"userPrompt": "p", "chosen": "a", "rejected": "b"}"#, ["\"userPrompt\"", "rename it to prompt"]),
        (#"{"text": "t", "label": 1, "document": "d"}"#, ["\"document\""]),
        (
            #"{"prompt": "a", "chosen": "b", "rejected": "c", "score": NaN}"#,
            ["line 1: NaN is no JSON", "null", "column 5"]
        ),
        (#"{"prompt": "a", "chosen": "b", "rejected": "c", "score": -Infinity}"#, ["-Infinity is no JSON"]),
        (
            #"{"prompt": "a", "chosen": "b \ud83d", "rejected": "c"}"#,
            ["\\ud83d is half of a surrogate pair", "column 3"]
        ),
        (#"{"prompt": "a", "chosen": "b \ude00", "rejected": "c"}"#, ["\\ude00 is half"]),
        (#"{"prompt": "a", "chosen": "b \ud83d\ud83d\ude00", "rejected": "c"}"#, ["\\ud83d is half"]),
        (#"{'prompt': 'a'}"#, ["single quotes", "json.dumps"]),
        (#"{"prompt": None}"#, ["None is no JSON"]),
        ("{\"prompt\": \"a\tb\"}", ["control character 0x09"]),
        (#"{"prompt": "a"#, ["ends inside a text"]),
        ("{\n \"prompt\": \"a\"\n}", ["not closed at the end of its line", "jq -c ."]),
        (#"{"prompt": "a"} {"prompt": "b"}"#, ["one record a line", "column 17"]),
        ("How do I make tea?", ["begins with \"How\"", "jq -cR"]),
        ("[{\"prompt\": \"a\", \"response\": \"b\"},\n{\"prompt\": \"a", ["line 2", "not closed"]),
        ("[{\"prompt\": \"a\", \"response\": \"b\"}] and more", ["something follows the end of the list"]),
        ("[{\"prompt\": \"a\", \"response\": \"b\"}", ["the list is not closed"]),
        (String(repeating: "[", count: 100_000), ["not closed"]),
        (#"{"prompt": "# + String(repeating: "[", count: 5_000) + "}", ["line 1"]),
    ]

    @Test(arguments: refused.indices) func otherFormsAreNamed(index: Int) throws {
        let (record, sentences) = Self.refused[index]
        let said = files.complaint(try files.file(record))
        for sentence in sentences { #expect(said.contains(sentence), "\(record.prefix(200)): \(said)") }
        #expect(said.count < 700)
    }

    static let kinds: [(bytes: [UInt8], name: String, sentences: [String])] = [
        (Array("PAR1\0\0".utf8), "x.parquet", ["Parquet", "read_parquet", "x.parquet"]),
        (Array("ARROW1\0\0".utf8), "x.arrow", ["Arrow"]),
        (Array("prompt,chosen,rejected\na,b,c\n".utf8), "x.csv", ["CSV", "csv.DictReader"]),
        (Array("prompt\tchosen\trejected\na\tb\tc\n".utf8), "x.tsv", ["TSV", "delimiter=\"\\t\""]),
        (Array("id,comment\n1,b\n".utf8), "x.csv", ["CSV"]),
        ([0x28, 0xB5, 0x2F, 0xFD, 0], "x.jsonl.zst", ["zstd -dc"]),
        ([0x50, 0x4B, 3, 4], "x.zip", ["ZIP"]),
        ([0xFF, 0xFE, 0x7B, 0], "x.jsonl", ["UTF-16", "iconv"]),
        ([0x7B, 0, 0x22, 0], "x.jsonl", ["UTF-16", "iconv"]),
        (Array("version https://git-lfs.github.com/spec/v1\n".utf8), "x.jsonl", ["Git LFS pointer"]),
        (Array("<!DOCTYPE html>".utf8), "x.jsonl", ["web page"]),
        ([0, 0, 0, 0], "x.jsonl", ["binary data"]),
        (Array("{\"prompt\": \"caf".utf8) + [0xE9] + Array("\"}".utf8), "x.jsonl", ["line 1", "0xE9", "é", "LATIN1"]),
        (Array("{\"prompt\": \"".utf8) + [0xED, 0xA0, 0xBD] + Array("\"}".utf8), "x.jsonl", ["0xED", "surrogate"]),
    ]

    @Test(arguments: kinds.indices) func otherFilesAreNamed(index: Int) throws {
        let (bytes, name, sentences) = Self.kinds[index]
        let said = files.complaint(try files.file(Data(bytes), name))
        for sentence in sentences { #expect(said.contains(sentence), "\(said)") }
    }

    @Test func aBrokenRecordInAHundredIsNamedAndSkippedOnlyWhenAsked() throws {
        var lines = (0..<100).map { #"{"prompt": "Q \#($0)", "chosen": "a", "rejected": "b"}"# }
        lines[56] = String(lines[56].prefix(20))
        lines[80] = #"{"prompt": "Q", "chosen": null, "rejected": "b"}"#
        let path = try files.file(lines.joined(separator: "\r\n"))
        #expect(files.complaint(path).contains("data.jsonl, line 57: "))
        let notices = RecordFiles.Notices()
        let data = try RewardData.read(path, options: notices.options(skipsBroken: true)).data
        #expect(data.completions.count == 196)
        #expect(
            notices.text.contains("skipped 2 of 100 records: line 57 (")
                && notices.text.contains("line 81 (chosen is null)"))
        let prompts = try RewardData.prompts(path, options: notices.options(skipsBroken: true))
        #expect(prompts.count == 98)
        // What concerns the whole file is never skipped, nor is a file of nothing else.
        let odd = try files.file(#"{"context": "c", "chosen": "a", "rejected": "b"}"#)
        #expect(files.complaint(odd, notices.options(skipsBroken: true)).contains("\"context\""))
        #expect(
            files.complaint(try files.file("x\ny"), notices.options(skipsBroken: true)).contains(
                "none of its 2 records"))
    }

    @Test func unknownKeysWithTextAreNamedOnce() throws {
        let line =
            #"{"prompt": "p", "chosen": "a", "rejected": "b", "chosen_model": "m", "prompt_id": "x", "score": 3, "#
            + #""topic": " "}"#
        let notices = RecordFiles.Notices()
        _ = try RewardData.read(try files.file(line + "\n" + line), options: notices.options())
        #expect(notices.text.hasSuffix("data.jsonl: text under these keys is not read: chosen_model, prompt_id"))
        #expect(!notices.text.contains("\n"))
        let passed = RecordFiles.Notices()
        let data = try RewardData.read(
            try files.file(#"{"prompt": "p", "context": "c", "chosen": "a", "rejected": "b"}"#),
            options: passed.options(ignoring: ["context"])
        ).data
        #expect(RecordFiles.shown(data) == ["user:p → a", "user:p → b"] && passed.text.isEmpty)
    }

    @Test func answersWithoutPromptsAreSaid() throws {
        let notices = RecordFiles.Notices()
        let line = #"{"chosen": "a", "rejected": "b"}"#
        let bare = try RewardData.read(try files.file(line), options: notices.options()).data
        #expect(bare.completions.allSatisfy { !$0.hasPrompt })
        #expect(notices.text.contains("none of the 2 answers has a prompt"))
        let mixed = RecordFiles.Notices()
        _ = try RewardData.read(
            try files.file(line + "\n" + #"{"prompt": "p", "chosen": "a", "rejected": "b"}"#), options: mixed.options())
        #expect(mixed.text.contains("2 of 4 answers have no prompt"))
        let system = RecordFiles.Notices()
        _ = try RewardData.read(
            try files.file(#"{"system": "s", "chosen": "a", "rejected": "b"}"#), options: system.options())
        #expect(system.text.contains("none of the 2 answers has a prompt"))
    }

    @Test func whatLooksOddIsSaid() throws {
        let notices = RecordFiles.Notices()
        let prompt = #"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"#
        let path = try files.file(#"{"prompt": "\#(prompt)"}"#)
        let prompts = try RewardData.prompts(path, options: notices.options())
        #expect(
            prompts[0][0].content.hasPrefix("<|im_start|>")
                && notices.text.contains("line 1 has a prompt laid out as ChatML"))
        let twice = RecordFiles.Notices()
        _ = try RewardData.read(
            try files.file(
                #"{"prompt": "What colour is the sky?", "chosen": "What colour is the sky? Blue", "#
                    + #""rejected": "What colour is the sky? Red"}"#), options: twice.options())
        #expect(twice.text.contains("begin with the prompt"))
    }
}
