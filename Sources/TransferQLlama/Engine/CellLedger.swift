/// Which sequence holds which cells of a unified cache: a cell is one token's, and forks share those of what they have in
/// common. llama.cpp keeps no count that can be asked for.
struct CellLedger {
    /// Cells of each sequence, by position.
    private var held: [[Int32]]
    /// Sequences that hold each cell.
    private var holders: [Int32] = []
    private var free: [Int32] = []
    /// Cells that some sequence holds.
    private(set) var used = 0

    init(sequences: Int) { held = [[Int32]](repeating: [], count: sequences) }

    func length(of sequence: Int32) -> Int { held[Int(sequence)].count }

    /// A new token's cell at the end of `sequences`.
    mutating func add(to sequences: some Sequence<Int32>) {
        let cell: Int32
        if let old = free.popLast() {
            cell = old
        } else {
            cell = Int32(holders.count)
            holders.append(0)
        }
        for sequence in sequences {
            held[Int(sequence)].append(cell)
            holders[Int(cell)] += 1
        }
        used += 1
    }

    /// Lets `target` hold the cells of `source` at `positions`, which continue what it holds.
    mutating func copy(_ positions: Range<Int>, of source: Int32, to target: Int32) {
        let cells = held[Int(source)][positions]
        held[Int(target)] += cells
        for cell in cells { holders[Int(cell)] += 1 }
    }

    /// Takes from a sequence what stands from `position` on.
    mutating func trim(_ sequence: Int32, from position: Int) {
        let kept = min(position, held[Int(sequence)].count)
        for cell in held[Int(sequence)][kept...] {
            holders[Int(cell)] -= 1
            if holders[Int(cell)] == 0 {
                free.append(cell)
                used -= 1
            }
        }
        held[Int(sequence)].removeLast(held[Int(sequence)].count - kept)
    }
}
