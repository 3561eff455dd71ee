/// Predicts Q(s, z) from hidden states of the policy that is tilted, in place of rollouts.
public protocol ValueHead: Sendable {
    /// How it was asked for, e.g. `head:value.json`.
    var name: String { get }

    /// The closed interval that every prediction lies in.
    var range: ClosedRange<Double> { get }

    /// Standard deviation of the differences between values of one state's candidates, in units of value.
    var differenceSpread: Double { get }

    /// Q of the candidate that the response ends with.
    ///
    /// - Parameter state: the policy's states over the response and the candidate, end tokens left out.
    func value(of state: PooledState) -> Double
}

/// Q̂(s, z) as a ``ValueHead`` predicts it: one pass over the candidates, no rollouts.
///
/// The pass is the one that decodes the chosen candidate for the next step, so that a step costs one batch.
struct HeadValue: ValueEstimator {
    let head: any ValueHead
    /// The policy that is tilted.
    let policy: CheckedPolicy

    var name: String { head.name }
    var valueRange: ClosedRange<Double>? { head.range }
    func valueScale(_ calibration: ConfidenceCalibration) -> ValueScale {
        ValueScale(spread: head.differenceSpread, slope: calibration.slope)
    }

    func estimates(for candidates: [[Token]], in state: AnswerState) async throws -> ValueEstimates {
        let continuations = candidates.map { Continuation(prefix: $0, tokens: []) }
        let readings = try await policy.read(continuations, after: state.response)
        let estimates = try readings.map { reading in
            guard let pooled = reading.state else { throw TransferQError.noStates(valueHead: head.name) }
            return ValueEstimate(value: head.value(of: pooled))
        }
        var usage = Usage()
        usage.readTokens = candidates.reduce(0) { $0 + $1.count }
        return ValueEstimates(estimates: estimates, usage: usage)
    }
}
