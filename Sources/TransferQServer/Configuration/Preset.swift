import HTTPTypes
public import TransferQ
public import TransferQRuntime

/// A preset whose models are loaded.
public struct Preset: Sendable {
    public let name: String
    public let spec: PresetSpec
    /// Shared by presets with the same models.
    public let runtime: Runtime
    public let tokenizer: any Tokenizer
    /// Longest prompt with its answer, in tokens; nil where it is not known.
    public let contextLength: Int?
    /// What α is where nobody gives one: one step on the reward's scale; nil without a reward.
    let rewardUnit: Double?
    /// What messages to clients must not hold: paths of files.
    let secrets: [String]

    /// - Parameters:
    ///   - rewardUnit: what α is where nobody gives one; nil without a reward.
    ///   - secrets: paths that messages for clients leave out.
    public init(
        name: String, spec: PresetSpec, runtime: Runtime, tokenizer: any Tokenizer, contextLength: Int?,
        rewardUnit: Double?, secrets: [String]
    ) {
        self.name = name
        self.spec = spec
        self.runtime = runtime
        self.tokenizer = tokenizer
        self.contextLength = contextLength
        self.rewardUnit = rewardUnit
        self.secrets = secrets.filter { !$0.isEmpty }
    }

    /// What candidates are valued by.
    ///
    /// - Parameter weights: in place of those of the configuration, by the rewards' names.
    /// - Throws: ``APIError`` for a name that is none of the preset's.
    func scoring(weights: [String: Double] = [:]) throws -> ScoringSpec {
        var scoring = spec.scoring
        guard !spec.rewards.isEmpty else {
            if let name = weights.keys.min() {
                throw APIError.invalid(
                    "transferq.weights names \"\(name)\", and the model \(self.name) has no reward; leave weights out",
                    parameter: "transferq.weights")
            }
            return scoring
        }
        let names = spec.rewards.map(\.name)
        if let stranger = weights.keys.sorted().first(where: { !names.contains($0) }) {
            throw APIError.invalid(
                "transferq.weights names \"\(stranger)\"; the rewards of the model \(name) are "
                    + names.joined(separator: ", "), parameter: "transferq.weights")
        }
        scoring.reward = try RewardSpec(
            spec.rewards.map { reward in
                weights[reward.name].map { RewardCatalogue.reweighted(reward.term, to: $0) } ?? reward.term
            })
        return scoring
    }

    /// What each part of a sum adds, by the names that clients know.
    func parts(of reward: Double?, _ parts: [Double]) -> [String: Double] {
        let names = spec.rewards.map(\.name)
        if parts.isEmpty, names.count == 1, let reward { return [names[0]: reward] }
        return Dictionary(zip(names, parts), uniquingKeysWith: +)
    }

    /// A message without the names of this server's files.
    func redacted(_ message: String) -> String {
        let hidden = secrets + spec.rewards.map(\.term).filter { $0.contains("/") }
        return hidden.sorted { $0.count > $1.count }.reduce(message) { $0.replacing($1, with: name) }
    }
}

/// The presets of a server, by name.
public struct PresetTable: Sendable {
    private let presets: [String: Preset]
    /// Of requests that name none.
    let standard: String

    /// - Throws: ``RuntimeError/invalidSpecification(what:reason:)`` where the standard is none of them.
    public init(_ presets: [Preset], standard: String) throws {
        self.presets = Dictionary(presets.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        self.standard = standard
        guard self.presets[standard] != nil else {
            throw RuntimeError.invalidSpecification(
                what: "configuration", reason: "there is no preset \"\(standard)\" that is the default")
        }
    }

    /// In the order of their names, the standard first.
    var all: [Preset] {
        presets.values.sorted { ($0.name == standard ? 0 : 1, $0.name) < ($1.name == standard ? 0 : 1, $1.name) }
    }

    /// - Throws: ``APIError`` with the status 404 for an unknown name.
    func preset(_ name: String?) throws -> Preset {
        guard let preset = presets[name ?? standard] else {
            throw APIError(
                .notFound,
                "there is no model \"\((name ?? standard).prefix(100))\" on this server; it has "
                    + all.map(\.name).joined(separator: ", "),
                parameter: "model", code: "model_not_found")
        }
        return preset
    }
}
