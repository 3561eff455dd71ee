/// What is known of a candidate's Q(s, z), in units of reward.
enum CandidateValue: Sendable {
    /// −∞ for an impossible candidate.
    case known(Double)
    /// Between two numbers, of which either may be infinite.
    case bounded(low: Double, high: Double)
    case unknown

    /// Q where it is known.
    var value: Double? {
        if case .known(let value) = self { value } else { nil }
    }

    /// The least that Q may be.
    var low: Double {
        switch self {
        case .known(let value): value
        case .bounded(let low, _): low
        case .unknown: -.infinity
        }
    }

    /// The most that Q may be.
    var high: Double {
        switch self {
        case .known(let value): value
        case .bounded(_, let high): high
        case .unknown: .infinity
        }
    }
}
