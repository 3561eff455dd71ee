/// What `--confidence` assumes about values before it has seen any: measured on one model with one reward, so measure it
/// anew for others (`transferq value confidence`, ``init(measuring:scale:rewardSpread:source:)``).
///
/// The model behind it (docs/mathematics.md section 7): on the scale of ``ValueScale``, a candidate's value goes along with the
/// incumbent's at ``slope`` and lies around that with ``spread``.
public struct ConfidenceCalibration: Codable, Hashable, Sendable {
    /// How much of what an incumbent is worth above typical answers comes to the other candidates; between 0 and 1.
    public let slope: Double
    /// Standard deviation around that, in standard deviations of the reward over typical answers; above 0.
    public let spread: Double
    /// Steps of an answer that weigh as much as `spread` does; at least 1. A step counts once, however many candidates it
    /// values: they are all compared with one incumbent, whose luck they share.
    public let priorSteps: Double
    /// Factor on the variance while the incumbent's value is guessed by that of the last choice; at least 1.
    public let guessInflation: Double
    /// How often the incumbent loses a step whose other candidates were looked at; between 0 and 1. It decides how far to
    /// look ahead, never what is chosen.
    public let lossRate: Double
    /// What all of this was measured on, in words.
    public let source: String

    /// - Throws: ``TransferQError/invalidParameter(name:value:requirement:)``.
    public init(
        slope: Double, spread: Double, priorSteps: Double, guessInflation: Double, lossRate: Double, source: String
    ) throws {
        for (name, value, isValid, requirement) in [
            ("slope", slope, (0...1).contains(slope), "between 0 and 1"),
            ("spread", spread, spread > 0 && spread.isFinite, "a finite number above 0"),
            ("priorSteps", priorSteps, priorSteps >= 1 && priorSteps.isFinite, "a finite number of at least 1"),
            ("guessInflation", guessInflation, guessInflation >= 1 && guessInflation.isFinite, "at least 1"),
            ("lossRate", lossRate, (0...1).contains(lossRate), "between 0 and 1"),
        ] where !isValid {
            throw TransferQError.invalidParameter(
                name: "\(name) of the confidence calibration", value: "\(value)", requirement: requirement)
        }
        self.init(
            valid: slope, spread: spread, priorSteps: priorSteps, guessInflation: guessInflation, lossRate: lossRate,
            source: source)
    }

    private init(
        valid slope: Double, spread: Double, priorSteps: Double, guessInflation: Double, lossRate: Double,
        source: String
    ) {
        self.slope = slope
        self.spread = spread
        self.priorSteps = priorSteps
        self.guessInflation = guessInflation
        self.lossRate = lossRate
        self.source = source
    }

    /// What holds when no other calibration is given; `source` says what it was measured on.
    public static let standard = ConfidenceCalibration(
        valid: 0.7, spread: 0.9, priorSteps: 8, guessInflation: 2.4, lossRate: 0.1,
        source: "SmolLM2-135M-Instruct (bf16), z:head:Rewards/harmless.json, prompts of hh-rlhf harmless-base, k 10, "
            + "horizon 20, baseline with a system prompt and tilted (1,535 steps of 34 prompts for slope and spread, 381 "
            + "of 11 for the rest)")

    private enum CodingKeys: CodingKey {
        case format, slope, spread, priorSteps, guessInflation, lossRate, source
    }

    /// Of the files.
    public static let format = "transferq-confidence-1"

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let format = try container.decode(String.self, forKey: .format)
        guard format == Self.format else {
            throw TransferQError.invalidParameter(
                name: "the format of the confidence calibration", value: format,
                requirement: "\(Self.format); make a file with transferq value confidence")
        }
        try self.init(
            slope: container.decode(Double.self, forKey: .slope),
            spread: container.decode(Double.self, forKey: .spread),
            priorSteps: container.decode(Double.self, forKey: .priorSteps),
            guessInflation: container.decode(Double.self, forKey: .guessInflation),
            lossRate: container.decode(Double.self, forKey: .lossRate),
            source: container.decode(String.self, forKey: .source))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.format, forKey: .format)
        try container.encode(slope, forKey: .slope)
        try container.encode(spread, forKey: .spread)
        try container.encode(priorSteps, forKey: .priorSteps)
        try container.encode(guessInflation, forKey: .guessInflation)
        try container.encode(lossRate, forKey: .lossRate)
        try container.encode(source, forKey: .source)
    }
}
