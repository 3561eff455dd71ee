extension ClosedRange<Double> {
    /// Reads `LOW..HIGH`; nil unless both are finite and LOW is below HIGH.
    package init?(written text: some StringProtocol) {
        let ends = text.split(separator: "..", omittingEmptySubsequences: false).map { Double($0) }
        guard ends.count == 2, let low = ends[0], let high = ends[1], low.isFinite, high.isFinite, low < high else {
            return nil
        }
        self = low...high
    }
}
