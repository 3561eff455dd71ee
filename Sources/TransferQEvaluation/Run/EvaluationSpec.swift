public import Foundation
import TransferQ
public import TransferQRuntime

/// What an evaluation runs: prompts, models, rewards, methods, seeds and metrics.
///
/// JSON, and YAML in the same form; all but `prompts` and `methods` may be left out.
///
///     {"prompts": {"file": "eval.jsonl", "limit": 40}, "model": "smollm2-135m-instruct",
///      "baselines": {"kind": {"system": "You are kind."}}, "reward": ["head:guide.json"],
///      "gold": {"held-out": ["head:gold.json"]}, "parameters": {"k": 10, "horizon": 16},
///      "methods": ["greedy", "cd[alpha=0.5]", "transfer-q[alpha=0.5,baseline=kind]"], "seeds": [0],
///      "limits": {"maxTokens": 48}, "metrics": ["repetition", "coherence"], "reference": "greedy"}
public struct EvaluationSpec: Hashable, Sendable {
    public var prompts: PromptSource
    /// The reference policy; the demonstration model where nil.
    public var model: ModelSpec?
    /// Baselines by the names that methods call them.
    public var baselines: [String: BaselineSpec]
    /// The guiding reward, with what else candidates are valued by.
    public var scoring: ScoringSpec
    /// Rewards that guide nothing, by the names that tables show.
    public var gold: [String: RewardSpec]
    /// At least one, with different labels.
    public var methods: [MethodEntry]
    /// At least one, all different.
    public var seeds: [UInt64]
    public var limits: AnswerLimits
    public var metrics: [MetricSpec]
    /// The label of the method that differences, wins and losses are counted against: the first one's where none is given.
    public var reference: String
    public var judge: JudgeSpec?
    /// Whether every answer's steps are kept as well, in a file of their own each.
    public var traces: Bool

    /// Everything else as where a configuration leaves it out; ``checked()`` says whether what was set goes together.
    ///
    /// - Parameter methods: the first is the reference.
    public init(prompts: PromptSource, methods: [MethodEntry]) throws {
        self.prompts = prompts
        self.methods = methods
        (model, baselines, scoring, gold, judge) = (nil, [:], ScoringSpec(), [:], nil)
        (seeds, limits, metrics, traces) = ([0], try AnswerLimits(), MetricSpec.standard, false)
        reference = methods.first?.label ?? ""
    }

    /// The specification, when its parts go together.
    ///
    /// - Throws: ``EvaluationError/invalidSpecification(_:)``.
    public func checked() throws -> EvaluationSpec {
        func fail(_ reason: String) -> EvaluationError { .invalidSpecification(reason) }
        guard !methods.isEmpty else { throw fail("methods: give at least one, for example [greedy, transfer-q]") }
        var labels: Set<String> = []
        for entry in methods {
            guard labels.insert(entry.label).inserted else {
                throw fail("methods: two are called \"\(entry.label)\"; give one of them another label")
            }
            _ = try baseline(of: entry)
        }
        _ = try Self.checkedSeeds(seeds)
        guard labels.contains(reference) else {
            throw fail("reference: no method is called \"\(reference)\"; it is one of \(labels.sorted())")
        }
        for name in Array(baselines.keys) + Array(gold.keys) where name.isEmpty || name.contains(where: \.isNewline) {
            throw fail("the names of baselines and gold rewards must be one line of text, not empty")
        }
        if judge != nil, methods.count < 2 { throw fail("judge: it compares methods, so give at least two") }
        if let against = judge?.against, !labels.contains(against) {
            throw fail("judge: against names no method \"\(against)\"; it is one of \(labels.sorted())")
        }
        guard Set(metrics.map(\.text)).count == metrics.count else { throw fail("metrics: name each once") }
        return self
    }

    static func checkedSeeds(_ seeds: [UInt64]) throws -> [UInt64] {
        guard !seeds.isEmpty, Set(seeds).count == seeds.count else {
            throw EvaluationError.invalidSpecification("seeds: give at least one and none twice, for example [0, 1, 2]")
        }
        return seeds
    }

    /// The name of the baseline that a method runs with; nil where it runs without one, or with the one that the guiding
    /// reward's own instruction makes.
    ///
    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` for an unknown name, and where it cannot be told which.
    public func baseline(of entry: MethodEntry) throws -> String? {
        let names = baselines.keys.sorted()
        if let name = entry.baseline {
            guard baselines[name] != nil else {
                throw EvaluationError.invalidSpecification(
                    "the method \(entry.label) names the baseline \"\(name)\", which is not among the baselines "
                        + "\(names)")
            }
            return name
        }
        guard try entry.method.configured().method.usesBaseline else { return nil }
        guard names.count <= 1 else {
            throw EvaluationError.invalidSpecification(
                "the method \(entry.label) needs a baseline and there are several; write which, for example "
                    + "\(entry.method.name)[baseline=\(names[0])]")
        }
        return names.first
    }

    /// Reads a configuration in JSON.
    ///
    /// - Parameter path: of the file, for messages.
    /// - Throws: ``EvaluationError/invalidSpecification(_:)`` that names the file and the place in it.
    public init(json: Data, path: String) throws {
        do { self = try JSON.decoder.decode(EvaluationSpec.self, from: json) } catch {
            throw EvaluationError.invalidSpecification("\(path): \(JSON.sentence(error))")
        }
    }

    public func seeds(of entry: MethodEntry) -> [UInt64] { entry.seeds ?? seeds }
}

extension EvaluationSpec: Codable {
    private enum CodingKeys: String, CodingKey, CaseIterable {
        case prompts, model, baselines, reward, baselineReward, valueHead, confidenceCalibration, gold, parameters,
            methods, seeds, limits, metrics, reference, judge, traces
    }

    public init(from decoder: any Decoder) throws {
        try RuntimeError.checkKeys(of: decoder, known: Set(CodingKeys.allCases.map(\.rawValue)), what: "evaluation")
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prompts = try container.decode(PromptSource.self, forKey: .prompts)
        model = try container.decodeIfPresent(ModelSpec.self, forKey: .model)
        baselines = try container.decodeIfPresent([String: BaselineSpec].self, forKey: .baselines) ?? [:]
        scoring = ScoringSpec(
            reward: try container.decodeIfPresent(Terms.self, forKey: .reward)?.reward,
            baselineReward: try container.decodeIfPresent(Terms.self, forKey: .baselineReward)?.reward,
            valueHead: try container.decodeIfPresent(String.self, forKey: .valueHead),
            confidenceCalibration: try container.decodeIfPresent(String.self, forKey: .confidenceCalibration))
        gold = try container.decodeIfPresent([String: Terms].self, forKey: .gold)?.mapValues(\.reward) ?? [:]
        var entries: [MethodEntry] = []
        let shared = try container.decodeIfPresent(SharedParameters.self, forKey: .parameters)?.values ?? [:]
        var list = try container.nestedUnkeyedContainer(forKey: .methods)
        while !list.isAtEnd { entries.append(try MethodEntry(from: list.superDecoder(), shared: shared)) }
        methods = entries
        seeds = try container.decodeIfPresent([UInt64].self, forKey: .seeds) ?? [0]
        limits = try container.decodeIfPresent(AnswerLimits.self, forKey: .limits) ?? AnswerLimits()
        metrics = try container.decodeIfPresent([MetricSpec].self, forKey: .metrics) ?? MetricSpec.standard
        reference = try container.decodeIfPresent(String.self, forKey: .reference) ?? entries.first?.label ?? ""
        judge = try container.decodeIfPresent(JudgeSpec.self, forKey: .judge)
        traces = try container.decodeIfPresent(Bool.self, forKey: .traces) ?? false
        // One that only other methods know may stay when those are taken out.
        let known = Set(try DecodingMethods.table.flatMap { try DecodingMethods.make($0.name).parameters.map(\.name) })
        if let stranger = shared.keys.sorted().first(where: { !known.contains($0) }) {
            throw EvaluationError.invalidSpecification(
                "parameters: no method knows \(stranger); they know \(known.sorted().joined(separator: ", "))")
        }
        self = try checked()
    }

    public func encode(to encoder: any Encoder) throws {
        try scoring.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(prompts, forKey: .prompts)
        try container.encodeIfPresent(model, forKey: .model)
        try container.encode(baselines, forKey: .baselines)
        try container.encode(gold, forKey: .gold)
        try container.encode(methods, forKey: .methods)
        try container.encode(seeds, forKey: .seeds)
        try container.encode(limits, forKey: .limits)
        try container.encode(metrics, forKey: .metrics)
        try container.encode(reference, forKey: .reference)
        try container.encodeIfPresent(judge, forKey: .judge)
        try container.encode(traces, forKey: .traces)
    }

    /// A reward of one term may be written without a list.
    private struct Terms: Decodable {
        let reward: RewardSpec

        init(from decoder: any Decoder) throws {
            // A value of another kind is a list, or says what is wrong as one.
            if let term = try? decoder.singleValueContainer().decode(String.self) {
                reward = try RewardSpec([term])
            } else {
                reward = try RewardSpec(from: decoder)
            }
        }
    }

    private struct SharedParameters: Decodable {
        let values: [String: ParameterValue]

        init(from decoder: any Decoder) throws { values = try MethodSpec.parameters(from: decoder) }
    }
}
