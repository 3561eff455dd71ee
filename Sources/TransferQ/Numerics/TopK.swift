/// Selection of the largest entries of a row.
public enum TopK {
    /// Indices of the `count` largest entries, largest first, equal entries by index.
    public static func indices(count: Int, of values: UnsafeBufferPointer<Float>) -> [Int] {
        guard let base = values.baseAddress else { return [] }
        return select(count: count, size: values.count) {
            base[$0]
        } skip: { index, least in
            // Most of a vocabulary is passed by eight at a time.
            var index = index
            while index + 8 <= values.count,
                !any(UnsafeRawPointer(base + index).loadUnaligned(as: SIMD8<Float>.self) .> least)
            { index += 8 }
            return index
        }
    }

    /// Indices of the `count` largest entries, largest first, equal entries by index.
    public static func indices(count: Int, of values: [Double]) -> [Int] {
        select(count: count, size: values.count) { values[$0] }
    }

    /// - Parameter skip: an index at which there may be a value above another one, from an index on; what it passes by is not.
    @inline(__always)
    private static func select<Value: Comparable>(
        count: Int, size: Int, value: (Int) -> Value, skip: (Int, Value) -> Int = { index, _ in index }
    ) -> [Int] {
        let count = min(count, size)
        guard count > 0 else { return [] }
        // A short list kept sorted beats a full sort until the list is a good part of the row.
        guard count <= 1024, count * 8 <= size else {
            let sorted = (0..<size).sorted { value($0) != value($1) ? value($0) > value($1) : $0 < $1 }
            return Array(sorted.prefix(count))
        }
        var best: [(index: Int, value: Value)] = []
        best.reserveCapacity(count + 1)
        var index = 0
        while index < size {
            let candidate = value(index)
            if best.count < count || candidate > best[best.count - 1].value {
                var slot = best.count
                while slot > 0, best[slot - 1].value < candidate { slot -= 1 }
                best.insert((index, candidate), at: slot)
                if best.count > count { best.removeLast() }
            }
            index += 1
            if best.count == count { index = skip(index, best[count - 1].value) }
        }
        return best.map(\.index)
    }
}
