/// What can go wrong in the method itself. Every message says what, where and how to mend it.
public enum TransferQError: Error, Equatable, Sendable {
    /// A parameter outside its range. `requirement` completes "NAME must be …".
    case invalidParameter(name: String, value: String, requirement: String)
    case unknownParameter(method: String, name: String, known: [String])
    case unknownMethod(name: String, known: [String])
    case missingReward(method: String)
    case vocabulariesDiffer(reference: String, baseline: String)
    case rewardCount(reward: String, expected: Int, got: Int)
    case rewardNotFinite(reward: String, value: String, text: String)
    case rewardOutsideRange(reward: String, value: Double, range: ClosedRange<Double>)
    /// What a reward or a value head says of itself and cannot be. `who` is e.g. `the reward length:40`.
    case badStatement(who: String, what: String, requirement: String)
    case rewardSpecification(specification: String, reason: String)
    case rewardParts(reward: String, expected: Int, got: Int)
    /// A policy handed back something that it must not. `reason` completes "POLICY …".
    case policyBreach(policy: String, reason: String)
    case valueCount(value: String, expected: Int, got: Int)
    case valueUsage(value: String, got: String)
    case valueNotFinite(value: String, candidate: [Token], got: String)
    case valueOutsideRange(value: String, candidate: [Token], got: Double, range: ClosedRange<Double>)
    /// A method decided something that it must not. `reason` completes "the method METHOD chose …".
    case methodBreach(method: String, reason: String)
    case noStates(valueHead: String)
}

extension TransferQError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalidParameter(let name, let value, let requirement):
            "\(name) must be \(requirement), not \(value)"
        case .unknownParameter(let method, let name, let known):
            "the method \(method) has no parameter \(name); "
                + (known.isEmpty ? "it takes none" : "it takes \(known.joined(separator: ", "))")
        case .unknownMethod(let name, let known):
            "there is no method '\(name)'; choose one of \(known.joined(separator: ", "))"
        case .missingReward(let method):
            "the method \(method) needs a reward; give one with --reward, for example --reward length:40"
        case .vocabulariesDiffer(let reference, let baseline):
            "the reference (\(reference)) and the baseline (\(baseline)) have different vocabularies; "
                + "choose a baseline with the reference's tokenizer"
        case .rewardCount(let reward, let expected, let got):
            "the reward \(reward) returned \(got) values for \(expected) completions; it must return one for each"
        case .rewardNotFinite(let reward, let value, let text):
            "the reward \(reward) returned \(value) for the text \"\(text)\"; rewards must be finite numbers"
        case .rewardOutsideRange(let reward, let value, let range):
            "the reward \(reward) returned \(value), outside its stated range "
                + "\(range.lowerBound)...\(range.upperBound); correct the range or the reward"
        case .badStatement(let who, let what, let requirement):
            "\(who) states \(what), which must be \(requirement)"
        case .rewardSpecification(let specification, let reason):
            "the reward '\(specification)' cannot be read: \(reason)"
        case .rewardParts(let reward, let expected, let got):
            "the reward \(reward) returned \(got) parts for its \(expected) part names; it must return one for each"
        case .policyBreach(let policy, let reason):
            "\(policy) \(reason)"
        case .valueCount(let value, let expected, let got):
            "the value \(value) returned \(got) estimates for \(expected) candidates; it must return one for each"
        case .valueUsage(let value, let got):
            "the value \(value) returned the usage \(got); counts must be at least 0 and at most 2^40"
        case .valueNotFinite(let value, let candidate, let got):
            "the value \(value) returned \(got) for the candidate \(candidate); values must be finite numbers, and a "
                + "candidate that cannot be is ValueEstimate.impossible"
        case .valueOutsideRange(let value, let candidate, let got, let range):
            "the value \(value) returned \(got) for the candidate \(candidate), outside its stated range "
                + "\(range.lowerBound)...\(range.upperBound); correct the range or the value"
        case .methodBreach(let method, let reason):
            "the method \(method) chose \(reason)"
        case .noStates(let valueHead):
            "the policy gives no hidden states, which the value head \(valueHead) reads; leave --value out"
        }
    }
}
