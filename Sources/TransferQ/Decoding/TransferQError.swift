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
    case rewardSpecification(specification: String, reason: String)
    case policyNotNumeric(step: Int)
    case valueNotFinite(candidate: [Token], value: String)
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
        case .rewardSpecification(let specification, let reason):
            "the reward '\(specification)' cannot be read: \(reason)"
        case .valueNotFinite(let candidate, let value):
            "the value of the candidate \(candidate) came out as \(value): the reference rules its rollouts out, or beta "
                + "is too small for the rewards; raise beta, or choose a baseline closer to the reference"
        case .noStates(let valueHead):
            "the policy gives no hidden states, which the value head \(valueHead) reads; leave --value out"
        case .policyNotNumeric(let step):
            "the policy returned probabilities that are not numbers at step \(step); the model file may be damaged"
        }
    }
}
