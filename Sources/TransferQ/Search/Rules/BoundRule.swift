/// Leaves out candidates that another one is certain to beat, wherever in their bounds the values are (exact; theory.md
/// section 7).
struct BoundRule: Sendable {
    /// Whether anything is left out; ranges are known all the same.
    let prunes: Bool
    /// The range of a reward that states none, as the user states it; a value outside makes its step be redone in full.
    let statedRange: ClosedRange<Double>?

    /// Which of a mean's `count` rollouts to ask for when so many are `done`: a quarter, then as many again as there are,
    /// as some of them bound it.
    func numbers(of count: Int, done: Int) -> Range<Int> {
        done..<min(count, max(1, done == 0 ? (count + 3) / 4 : 2 * done))
    }
}
