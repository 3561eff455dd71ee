extension [Double] {
    /// The first place of the largest value; 0 for none.
    var firstIndexOfMaximum: Int {
        var best = 0
        for index in indices where self[index] > self[best] { best = index }
        return best
    }
}
