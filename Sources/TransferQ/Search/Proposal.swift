/// The candidates of one state, before anything is known of their values.
struct Proposal: Sendable {
    let tokens: [Token]
    /// log-probability of each under the policy that proposed them, nats.
    let logPolicy: [Double]
    /// log π_tilt of each up to a constant: `logPolicy` divided by the temperature.
    let logTilt: [Double]
    /// log π_tilt, with Gumbel noise when the choice is a draw: what is compared when values are equal.
    let priorities: [Double]

    /// The candidate that is chosen unless another one's value makes up for its lead: the one that wins at equal values, the
    /// first of equal ones.
    var incumbent: Int { priorities.firstIndexOfMaximum }
}
