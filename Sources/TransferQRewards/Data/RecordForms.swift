import Foundation

/// Forms of records that people have, whose meaning is known by their keys, and that are not read: each is refused by its
/// name, with a command that makes one of the forms of ``RewardData`` of it.
struct RefusedForm {
    let name: String
    /// All of them are there.
    let keys: [String]
    /// For jq -c; empty where `advice` says what to do.
    var filter = ""
    var advice = ""

    /// An object that is no record, but holds many: by rows under one key, or by columns.
    static func container(_ object: [String: JSONValue]) -> RefusedForm? {
        let keys = ["data", "train", "rows", "instances", "examples", "items", "records"]
        let wrapper = keys.first { key in
            guard case .list(let items)? = object[key] else { return false }
            return items.first?.object != nil
        }
        if object.count <= 3, let wrapper {
            return RefusedForm(
                name: "a list of records under the key \"\(wrapper)\"", keys: [wrapper],
                filter: wrapper == "rows" ? ".rows[] | (.row // .)" : ".\(wrapper)[]")
        }
        guard ["chosen", "prompt", "text", "response"].contains(where: { object[$0]?.object?["0"] != nil }) else {
            return nil
        }
        return RefusedForm(
            name: "a table by columns (pandas' to_json)", keys: [],
            advice: "write it with to_json(FILE, orient=\"records\", lines=True)")
    }

    /// The form of an object with these keys.
    static func find(_ object: [String: JSONValue]) -> RefusedForm? {
        table.first { form in form.keys.allSatisfy { object[$0] != nil } }
    }

    /// - Parameter path: of the file.
    func sentence(path: String) -> String {
        let command = filter.isEmpty ? advice : "convert it: jq -c '\(filter)' \(FileKind.quoted(path)) > data.jsonl"
        return "this is \(name), which is not read; \(command)"
    }

    private static let table: [RefusedForm] = [
        RefusedForm(
            name: "the Stanford Human Preferences form (SHP)", keys: ["human_ref_A", "human_ref_B"],
            filter: "if .labels == 1 then {prompt: .history, chosen: .human_ref_A, rejected: .human_ref_B} "
                + "else {prompt: .history, chosen: .human_ref_B, rejected: .human_ref_A} end"),
        RefusedForm(
            name: "PKU-SafeRLHF's form", keys: ["response_0", "response_1", "better_response_id"],
            filter: "[.response_0, .response_1] as $r | {prompt, chosen: $r[.better_response_id], "
                + "rejected: $r[1 - .better_response_id]}"),
        RefusedForm(
            name: "HelpSteer3's form", keys: ["response1", "response2", "overall_preference"],
            filter: "select(.overall_preference != 0) | if .overall_preference < 0 then {prompt: .context, chosen: "
                + ".response1, rejected: .response2} else {prompt: .context, chosen: .response2, rejected: .response1} end"
        ),
        RefusedForm(
            name: "the paired Stack Exchange form", keys: ["response_j", "response_k"],
            filter: "{prompt: .question, chosen: .response_j, rejected: .response_k}"),
        RefusedForm(
            name: "a form with chosen_response and rejected_response", keys: ["chosen_response", "rejected_response"],
            filter:
                "del(.chosen_response, .rejected_response) + {chosen: .chosen_response, rejected: .rejected_response}"
        ),
        RefusedForm(
            name: "a form with accepted and rejected", keys: ["accepted", "rejected"],
            filter: "del(.accepted) + {chosen: .accepted}"),
        RefusedForm(
            name: "OpenAI's preference form", keys: ["preferred_output", "non_preferred_output"],
            filter: "{prompt: .input.messages, chosen: .preferred_output, rejected: .non_preferred_output}"),
        RefusedForm(
            name: "WebGPT's comparisons", keys: ["answer_0", "answer_1", "score_0"],
            filter:
                "select(.score_0 != .score_1) | if .score_0 > .score_1 then {prompt: (.question.full_text? // .question), "
                + "chosen: .answer_0, rejected: .answer_1} else {prompt: (.question.full_text? // .question), "
                + "chosen: .answer_1, rejected: .answer_0} end"),
        RefusedForm(
            name: "OpenAI's summaries with feedback", keys: ["summaries", "choice"],
            filter: "{prompt: (\"Summarize: \" + .info.post), chosen: .summaries[.choice].text, "
                + "rejected: .summaries[1 - .choice].text}"),
        RefusedForm(
            name: "Chatbot Arena's form", keys: ["conversation_a", "conversation_b", "winner"],
            filter:
                "select(.winner == \"model_a\" or .winner == \"model_b\") | if .winner == \"model_a\" then {chosen: "
                + ".conversation_a, rejected: .conversation_b} else {chosen: .conversation_b, rejected: .conversation_a} "
                + "end"),
        RefusedForm(
            name: "Chatbot Arena's form with response_a and response_b", keys: ["response_a", "response_b"],
            filter: "select(.winner_model_a + .winner_model_b == 1) | if .winner_model_a == 1 then {prompt, chosen: "
                + ".response_a, rejected: .response_b} else {prompt, chosen: .response_b, rejected: .response_a} end"),
        RefusedForm(
            name: "UltraFeedback's form with scored completions", keys: ["instruction", "completions"],
            filter: "(.completions | sort_by(.overall_score)) as $c | {prompt: .instruction, chosen: $c[-1].response, "
                + "rejected: $c[0].response}"),
        RefusedForm(
            name: "TRL's stepwise supervision", keys: ["prompt", "completions", "labels"],
            filter: ". as $r | range(.completions | length) as $i | {prompt: ($r.prompt + \"\\n\" + "
                + "($r.completions[:$i] | join(\"\\n\"))), completion: $r.completions[$i], label: $r.labels[$i]}"),
        RefusedForm(
            name: "Nectar's form, ranked answers", keys: ["prompt", "answers"],
            filter: "(.answers | sort_by(.rank)) as $a | {prompt, chosen: $a[0].answer, rejected: $a[-1].answer}"),
        RefusedForm(
            name: "a form with a list of scored responses", keys: ["responses"],
            advice: "give the best as chosen and another as rejected, one pair a line"),
        RefusedForm(
            name: "a form with a list of completions", keys: ["completions"],
            advice: "give one completion a line, or the best as chosen and another as rejected"),
        RefusedForm(
            name: "an Open Assistant message tree", keys: ["message_id", "parent_id"],
            advice: "flatten the trees into {\"prompt\", \"chosen\", \"rejected\"} first"),
        RefusedForm(
            name: "an Open Assistant message tree", keys: ["message_tree_id"],
            advice: "flatten the trees into {\"prompt\", \"chosen\", \"rejected\"} first"),
        RefusedForm(
            name: "a request of OpenAI's batch form", keys: ["custom_id", "body"], filter: "{messages: .body.messages}"),
        RefusedForm(
            name: "data that a tokenizer has been over", keys: ["input_ids"],
            advice: "give the texts that it was made of"),
        RefusedForm(
            name: "data that a tokenizer has been over", keys: ["chosen_input_ids"],
            advice: "give the texts that it was made of"),
        RefusedForm(
            name: "an answer of transferq generate --output, without its prompt",
            keys: ["approximations", "conversation", "response", "settings"],
            advice: "put the prompt and the response together as {\"prompt\", \"response\"}"),
        RefusedForm(name: "MT-Bench's questions", keys: ["question_id", "turns"], filter: "{prompt: .turns[0]}"),
        RefusedForm(
            name: "a dialogue under the key \"transcript\"", keys: ["transcript"], filter: "{prompt: .transcript}"),
        RefusedForm(
            name: "a form with the turns under \"user\" and \"assistant\"", keys: ["user", "assistant"],
            filter: "{prompt: .user, response: .assistant}"),
    ]
}
