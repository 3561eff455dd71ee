import TransferQ
import TransferQLlama

/// A model's chat template in `models info`.
struct TemplateReport: Encodable {
    /// Whether the file has one.
    let exists: Bool
    /// What lays it out: `jinja`, or `named layout` of llama.cpp's C interface.
    let engine: String
    /// Why it cannot be laid out; null when it can.
    let problem: String?
    /// Whether a system prompt goes into the first turn of the user.
    let foldsSystem: Bool
    /// Whether it asks for the date.
    let usesDate: Bool
    /// The token that ends an answer, as the template writes it; null when the vocabulary has none.
    let endToken: String?

    init(_ model: LlamaModel) async {
        exists = model.chatTemplate != nil
        engine = ChatTemplate.hasEngine ? "jinja" : "named layout"
        endToken = model.endToken.map { model.tokenizer.text(of: $0) }
        let user = Message(role: "user", content: "Hi")
        do {
            let plain = try model.layOut([user])
            problem = nil
            usesDate = plain.date != nil
        } catch {
            problem = "\(error)"
            usesDate = false
        }
        // A template that takes no system prompt in any form is refused where one is given.
        let system = try? model.layOut([Message(role: "system", content: "Be kind."), user])
        foldsSystem = system?.isSystemFolded ?? false
    }

    /// In one line.
    var line: String {
        guard exists else { return "none; use --raw" }
        if let problem { return "its own, which cannot be laid out: \(problem)" }
        var parts = [
            engine == "jinja"
                ? "its own, run by llama.cpp's Jinja engine"
                : "its own, laid out in the nearest layout that llama.cpp knows by name (built without its Jinja engine)"
        ]
        if foldsSystem { parts.append("system prompts go into the first turn of the user") }
        if usesDate { parts.append("asks for the date (--date)") }
        if let endToken { parts.append("an answer ends with \(endToken)") }
        return parts.joined(separator: "; ")
    }
}
