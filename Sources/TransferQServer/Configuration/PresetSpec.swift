import TransferQ
import TransferQEvaluation
public import TransferQRuntime

/// A model as clients choose it: weights, a baseline, a reward and a method under one name.
///
/// JSON, and YAML in the same form; everything may be left out.
///
///     {"description": "Kind answers.", "model": "smollm2-135m-instruct", "baseline": {"system": "You are kind."},
///      "reward": {"kindness": "head:harmless.json", "brevity": "length:40:0.5"},
///      "method": "transfer-q[k=10,horizon=16]", "limits": {"maxTokens": 256}}
public struct PresetSpec: Hashable, Sendable {
    /// A reward of the sum, by the name that clients know.
    public struct NamedReward: Hashable, Sendable {
        public let name: String
        /// As it is written on a command line, with its weight. May hold paths and addresses, which clients never see.
        public let term: String

        public init(name: String, term: String) {
            self.name = name
            self.term = term
        }
    }

    public var description = ""
    /// The reference policy; the demonstration model where nil.
    public var model: ModelSpec?
    public var baseline: BaselineSpec?
    /// In the order of their parts.
    public var rewards: [NamedReward] = []
    /// Without its `reward`, which ``rewards`` are.
    public var scoring = ScoringSpec()
    /// Nil for `transfer-q` with something to value candidates by, `sample` without.
    public var method: MethodSpec?
    /// Of answers whose requests set none.
    public var limits: AnswerLimits?

    public init() {}

    /// Names for rewards that have none: their kinds, numbered where one comes twice.
    public static func named(_ terms: [String]) throws -> [NamedReward] {
        var uses: [Substring: Int] = [:]
        return try RewardSpec(terms).terms.map { term in
            let modifiers: Set<Substring> = ["raw", "z", "clip", "squash"]
            let pieces = term.split(separator: ":", omittingEmptySubsequences: false)
            let kind = pieces.first { !modifiers.contains($0) && $0.wholeMatch(of: /[a-z][a-z-]*/) != nil } ?? "reward"
            uses[kind, default: 0] += 1
            let number = uses[kind] ?? 1
            return NamedReward(name: number == 1 ? String(kind) : "\(kind)-\(number)", term: term)
        }
    }

    /// What candidates are valued by, with the weights of the configuration.
    var fullScoring: ScoringSpec {
        get throws {
            var scoring = scoring
            if !rewards.isEmpty { scoring.reward = try RewardSpec(rewards.map(\.term)) }
            return scoring
        }
    }

    /// The method that runs where a request names none.
    public var configuredMethod: MethodSpec {
        get throws {
            if let method { return method }
            let hasValues = !rewards.isEmpty || scoring.valueHead != nil
            return try MethodSpec(hasValues ? TransferQDirect.name : SampledDecoding.name)
        }
    }
}

extension PresetSpec: Decodable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case description, model, baseline, reward, baselineReward, valueHead, confidenceCalibration, method, limits
    }

    public init(from decoder: any Decoder) throws {
        try RuntimeError.checkKeys(of: decoder, known: Set(CodingKeys.allCases.map(\.rawValue)), what: "preset")
        let container = try decoder.container(keyedBy: CodingKeys.self)
        description = try container.decodeIfPresent(String.self, forKey: .description) ?? ""
        model = try container.decodeIfPresent(ModelSpec.self, forKey: .model)
        baseline = try container.decodeIfPresent(BaselineSpec.self, forKey: .baseline)
        rewards = try container.decodeIfPresent(Terms.self, forKey: .reward)?.rewards ?? []
        let other = try container.decodeIfPresent(Terms.self, forKey: .baselineReward)?.rewards
        scoring = ScoringSpec(
            baselineReward: try other.map { try RewardSpec($0.map(\.term)) },
            valueHead: try container.decodeIfPresent(String.self, forKey: .valueHead),
            confidenceCalibration: try container.decodeIfPresent(String.self, forKey: .confidenceCalibration))
        method = try container.decodeIfPresent(MethodEntry.self, forKey: .method)?.method
        limits = try container.decodeIfPresent(AnswerLimits.self, forKey: .limits)
    }

    /// A term, a list of terms, or an object of terms by their names.
    private struct Terms: Decodable {
        let rewards: [NamedReward]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // What is of another kind is tried as the next one; the last try tells what is wrong.
            if let term = try? container.decode(String.self) {
                rewards = try PresetSpec.named([term])
            } else if let terms = try? container.decode([String].self) {
                rewards = try PresetSpec.named(terms)
            } else {
                let named = try container.decode([String: String].self)
                _ = try RewardSpec(Array(named.values))
                rewards = named.sorted { $0.key < $1.key }.map { NamedReward(name: $0.key, term: $0.value) }
            }
        }
    }
}
