/// The two policies of a task, with every result checked.
struct TaskPolicies: Sendable {
    /// π_sft.
    let reference: CheckedPolicy
    /// ρ_BL; the reference itself (`===`) when there is none, or it is the same policy.
    let baseline: CheckedPolicy

    /// - Throws: ``TransferQError`` when the vocabularies differ, or a policy has no room for a single token.
    init(reference: any Policy, baseline: (any Policy)?) throws {
        let baseline = baseline ?? reference
        guard reference.tokenizer.fingerprint == baseline.tokenizer.fingerprint,
            reference.tokenizer.size == baseline.tokenizer.size
        else {
            throw TransferQError.vocabulariesDiffer(
                reference: "\(reference.tokenizer.size) tokens", baseline: "\(baseline.tokenizer.size) tokens")
        }
        self.reference = CheckedPolicy(reference, role: "the reference")
        self.baseline =
            reference.underlying === baseline.underlying
            ? self.reference : CheckedPolicy(baseline, role: "the baseline")
        for (policy, role) in [(reference, "the reference"), (baseline, "the baseline")]
        where policy.maximumResponseLength < 1 || policy.tokenizer.size < 1
            || !(0...1 << 40).contains(policy.promptLength)
        {
            throw TransferQError.policyBreach(
                policy: CheckedPolicy(policy, role: role).name,
                reason: "has a vocabulary of \(policy.tokenizer.size) tokens, a prompt of \(policy.promptLength) and "
                    + "room for a response of \(policy.maximumResponseLength): the first and the last must be at least "
                    + "1, the prompt at least 0")
        }
    }

    /// Tokens of the prompts, each policy counted once.
    var promptTokens: Int { reference.promptLength + (reference === baseline ? 0 : baseline.promptLength) }
}
