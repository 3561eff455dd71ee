/// A way to decide the next token or tokens. A method is a value: it holds parameters, never state.
public protocol DecodingMethod: Sendable {
    /// Checks what the parameters alone cannot tell: a missing reward, a k above the vocabulary.
    func validate(vocabularySize: Int, hasReward: Bool) throws

    /// The approximations in use, as they were asked for; none for an exact method.
    var approximations: [String] { get }

    /// What the user should know about these parameters on this task, a sentence each.
    func warnings(for task: DecodingTask) -> [String]

    /// What one step asks of the policy that rolls out; lets a caller size the model's context.
    func demand(maximumLength: Int) -> RolloutDemand

    /// Whether the baseline has a part in it, as far as the parameters tell.
    var usesBaseline: Bool { get }

    /// Chooses what follows `state.response`. `remainingLength` is at least 1.
    func decide(_ state: DecodingState) async throws -> Decision
}

/// A method that a name and parameters describe. To add one, write it in a file of its own and put its type into
/// ``DecodingMethods/table``.
public protocol NamedDecodingMethod: DecodingMethod {
    /// The name on the command line, e.g. `transfer-q`.
    static var name: String { get }
    /// One line of help.
    static var summary: String { get }

    /// Takes and checks the parameters that the method knows.
    init(from parameters: inout ParameterReader) throws
}

extension DecodingMethod {
    public func warnings(for task: DecodingTask) -> [String] { [] }

    public var approximations: [String] { [] }

    public var usesBaseline: Bool { false }
}

/// The most that one step rolls out at the same time.
public struct RolloutDemand: Hashable, Sendable {
    public var sequences: Int
    /// Tokens kept for each sequence beyond the response.
    public var tokensPerSequence: Int
    /// Whether looking ahead fills batches up to the task's width.
    public var isFilledUp = false

    public static let none = RolloutDemand(sequences: 0, tokensPerSequence: 0)

    /// Absurd sizes are cut to ones that no model can meet, so that arithmetic with them cannot overflow.
    public init(sequences: Int, tokensPerSequence: Int) {
        self.sequences = min(sequences, 1 << 30)
        self.tokensPerSequence = min(tokensPerSequence, 1 << 30)
    }
}

/// A rollout with the reward of the whole text it leads to.
public struct ScoredRollout: Hashable, Sendable {
    public var rollout: Rollout
    public var reward: Double
    /// log w of the rollout, up to a constant of its candidate; nil for a plain mean.
    public var logWeight: Double?
    /// What each part of a summed reward adds to `reward`; empty for a reward without parts.
    public var rewardParts: [Double] = []
}

/// A candidate as the method judged it.
public struct ScoredCandidate: Sendable {
    /// Its tokens: one, or a block.
    public var tokens: [Token]
    /// log π_sft(z | s), nats.
    public var logProbability: Double
    /// Q̂(s, z), in units of reward; nil for a method without values, a candidate that the search left out, and one that is
    /// impossible (``ValueEstimate/impossible(rollouts:)``).
    public var value: Double?
    /// What the choice compares; see ``TiltedDistribution/scores``. −∞ for an impossible candidate.
    public var score: Double
    /// Probability that the method gave it, among the candidates whose values are known; 0 for one that the search left
    /// out. Sums to one over a decision unless the list was cut for display.
    public var probability: Double
    public var rollouts: [ScoredRollout]
    /// (Σw)² / Σw² of the rollouts' weights, between 1 and N; N for a plain mean, nil without rollouts.
    public var effectiveSampleSize: Double? = nil

    /// Standard deviation of the rollouts' rewards; nil for fewer than two.
    public var rewardSpread: Double? {
        guard rollouts.count > 1 else { return nil }
        let mean = rollouts.reduce(0) { $0 + $1.reward } / Double(rollouts.count)
        let squares = rollouts.reduce(0) { $0 + ($1.reward - mean) * ($1.reward - mean) }
        return (squares / Double(rollouts.count - 1)).squareRoot()
    }
}

/// What a method chose, and why.
public struct Decision: Sendable {
    /// One token or more; an end token only as the last.
    public var tokens: [Token]
    /// The candidates looked at, most likely under the tilted policy first.
    public var candidates: [ScoredCandidate]
    /// KL(the distribution that the choice was drawn from ‖ π_sft) at this state, nats, or what `klKind` says instead. Nil
    /// when the method has no closed form for it.
    public var kl: Double?
    public var klKind = KLKind.divergence
    /// The α of this step, when a KL budget solves for it; infinite where the budget allowed the reference alone.
    public var alpha: Double? = nil
    /// Probability, under the policy that proposed them, of all tokens outside the candidate set.
    public var outsideProbability: Double? = nil
    /// How the candidates were searched; nil for a method that does not search.
    public var search: SearchReport? = nil
    public var usage: Usage
}

/// The table of methods: the only list of them.
public enum DecodingMethods {
    public static let table: [any NamedDecodingMethod.Type] = [
        GreedyDecoding.self,
        SampledDecoding.self,
        BestOfN.self,
        ARGS.self,
        ControlledDecoding.self,
        TransferQDirect.self,
        TransferQIndirect.self,
        TransferQSoft.self,
    ]

    /// Builds a method from its name and the parameters given; the others take their defaults.
    ///
    ///     let method = try DecodingMethods.make("transfer-q", ["k": 10, "alpha": 0.5])
    ///
    /// - Throws: ``TransferQError`` for an unknown method or parameter, or a value outside its range.
    public static func make(_ name: String, _ values: [String: ParameterValue] = [:]) throws -> ConfiguredMethod {
        guard let type = table.first(where: { $0.name == name }) else {
            throw TransferQError.unknownMethod(name: name, known: table.map { $0.name })
        }
        var reader = ParameterReader(values: values)
        let method = try type.init(from: &reader)
        try reader.finish(method: name)
        return ConfiguredMethod(name: name, method: method, parameters: reader.parameters)
    }

    /// Builds several methods from one set of parameters: each takes those that it knows.
    ///
    /// - Throws: ``TransferQError``, also for a parameter that none of them knows.
    public static func make(
        _ names: [String], sharing values: [String: ParameterValue]
    ) throws -> [ConfiguredMethod] {
        var unused = Set(values.keys)
        let methods = try names.map { name in
            let known = try make(name).parameters.map(\.name)
            unused.subtract(known)
            return try make(name, values.filter { known.contains($0.key) })
        }
        if let stranger = unused.sorted().first {
            let known = Set(methods.flatMap { $0.parameters.map(\.name) }).sorted()
            throw TransferQError.unknownParameter(
                method: names.joined(separator: ", "), name: stranger, known: known)
        }
        return methods
    }
}

/// A method with a record of every parameter it runs with.
public struct ConfiguredMethod: Sendable {
    public let name: String
    public let method: any DecodingMethod
    public let parameters: [Parameter]
}
