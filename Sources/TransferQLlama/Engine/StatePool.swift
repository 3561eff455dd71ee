import TransferQ

/// Final hidden states of a response's tokens, summed as they come.
struct StatePool {
    private var sum: [Double]
    private var last: [Float]
    private var count = 0

    /// - Parameter first: the state at the prompt's last token, which stands for an empty response.
    init(first: ArraySlice<Float>) {
        last = Array(first)
        sum = [Double](repeating: 0, count: first.count)
    }

    mutating func add(_ state: some Collection<Float>) {
        last = Array(state)
        for (index, value) in last.enumerated() { sum[index] += Double(value) }
        count += 1
    }

    func pooled(_ source: StateSource) -> PooledState {
        PooledState(source: source, last: last, mean: count == 0 ? last : sum.map { Float($0 / Double(count)) })
    }
}
