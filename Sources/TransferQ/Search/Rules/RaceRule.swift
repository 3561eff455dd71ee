/// Successive halving (approximate): candidates whose unfinished rollouts are worth less drop out.
struct RaceRule: Sendable {
    /// Tokens of the rollouts of each round, the whole being `horizon`.
    func horizons(of horizon: Int) -> [Int] { [4, 2].map { max(1, horizon / $0) } }

    /// How many of `count` candidates a round leaves.
    func survivors(of count: Int) -> Int { (count + 1) / 2 }

    /// Candidates that are not raced any more.
    static let fewest = 2
}
