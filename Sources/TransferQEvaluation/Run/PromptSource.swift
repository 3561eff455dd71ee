public import TransferQRuntime

/// Which prompts an evaluation answers.
///
/// JSON: an object; all but `file` may be left out.
///
///     {"file": "eval.jsonl.gz", "limit": 40}
public struct PromptSource: Codable, Hashable, Sendable {
    /// JSON lines with prompts or data of prompts with answers (``RewardData``), gzipped or not; of a name that ends in
    /// `.txt`, a prompt a line. Or the address of such a file, https or `hf:datasets/OWNER/REPO/FILE`, which is brought once.
    public let file: String
    public let form: PromptForm
    /// Prompts at the beginning of the file that are left out.
    public let offset: Int
    /// Most prompts after those; all where nil.
    public let limit: Int?
    /// A system prompt ahead of every conversation.
    public let system: String?
    /// Whether records that cannot be read are left out and named; otherwise the first ends the run.
    public let skipBroken: Bool
    /// Keys of records that are passed over knowingly.
    public let ignoredKeys: [String]

    /// - Throws: ``EvaluationError/invalidSpecification(_:)``.
    public init(
        file: String, form: PromptForm = .chat, offset: Int = 0, limit: Int? = nil, system: String? = nil,
        skipBroken: Bool = false, ignoredKeys: [String] = []
    ) throws {
        func fail(_ reason: String) -> EvaluationError { .invalidSpecification("prompts: \(reason)") }
        guard !file.isEmpty else { throw fail("name a file, for example file: prompts.jsonl") }
        guard offset >= 0 else { throw fail("offset must be at least 0, not \(offset)") }
        if let limit, limit < 1 { throw fail("limit must be at least 1, not \(limit)") }
        guard system == nil || form == .chat else {
            throw fail("a system prompt needs a chat template, so it goes without form: \(form.rawValue)")
        }
        self.file = file
        self.form = form
        self.offset = offset
        self.limit = limit
        self.system = system
        self.skipBroken = skipBroken
        self.ignoredKeys = ignoredKeys
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case file, form, offset, limit, range, system, skipBroken, ignoredKeys
    }

    public init(from decoder: any Decoder) throws {
        try RuntimeError.checkKeys(of: decoder, known: Set(CodingKeys.allCases.map(\.rawValue)), what: "prompts")
        let container = try decoder.container(keyedBy: CodingKeys.self)
        var offset = try container.decodeIfPresent(Int.self, forKey: .offset)
        var limit = try container.decodeIfPresent(Int.self, forKey: .limit)
        if let text = try container.decodeIfPresent(String.self, forKey: .range) {
            guard offset == nil, limit == nil else {
                throw EvaluationError.invalidSpecification("prompts: give range, or offset and limit, not both")
            }
            guard let match = text.wholeMatch(of: /(\d+)\.\.(\d+)/), let first = Int(match.1), let last = Int(match.2),
                first <= last
            else {
                throw EvaluationError.invalidSpecification(
                    "prompts: range must be FIRST..LAST, counted from 0 and with both ends, not \"\(text)\"")
            }
            (offset, limit) = (first, last - first + 1)
        }
        try self.init(
            file: container.decode(String.self, forKey: .file),
            form: container.decodeIfPresent(PromptForm.self, forKey: .form) ?? .chat, offset: offset ?? 0,
            limit: limit, system: container.decodeIfPresent(String.self, forKey: .system),
            skipBroken: container.decodeIfPresent(Bool.self, forKey: .skipBroken) ?? false,
            ignoredKeys: container.decodeIfPresent([String].self, forKey: .ignoredKeys) ?? [])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(file, forKey: .file)
        try container.encode(form, forKey: .form)
        try container.encode(offset, forKey: .offset)
        try container.encodeIfPresent(limit, forKey: .limit)
        try container.encodeIfPresent(system, forKey: .system)
        try container.encode(skipBroken, forKey: .skipBroken)
        try container.encode(ignoredKeys, forKey: .ignoredKeys)
    }
}
