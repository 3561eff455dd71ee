import Foundation

/// One row of next-token logits as a model leaves it: unnormalised log-weights over a whole vocabulary.
///
/// A view, not a copy: it is valid only while the memory it looks at is. The loops run once per token of every
/// rollout over some 50,000 to 260,000 entries, hence the vector code.
public struct LogitRow {
    public let logits: UnsafeBufferPointer<Float>

    public init(_ logits: UnsafeBufferPointer<Float>) {
        self.logits = logits
    }

    private typealias Vector = SIMD8<Float>
    private static let width = 8

    /// The largest logit and the lowest token id that has it, or nil when no entry is a number.
    public var top: (token: Token, logit: Float)? {
        guard let base = logits.baseAddress else { return nil }
        let count = logits.count
        var maxima = Vector(repeating: -.infinity)
        var index = 0
        while index + Self.width <= count {
            let values = load(base + index)
            maxima.replace(with: values, where: values .> maxima)
            index += Self.width
        }
        var largest = -Float.infinity
        for lane in 0..<Self.width where maxima[lane] > largest { largest = maxima[lane] }
        while index < count {
            if base[index] > largest { largest = base[index] }
            index += 1
        }
        index = 0
        while index + Self.width <= count, !any(load(base + index) .== largest) { index += Self.width }
        while index < count {
            if base[index] == largest { return (Token(index), largest) }
            index += 1
        }
        return nil
    }

    /// log Σ exp(logits) in nats, to a relative error of about 1e-7 in the sum; NaN when an entry is NaN.
    public var logSumExp: Double { summary?.logSumExp ?? .nan }

    /// ``top`` and ``logSumExp`` in as many passes as the second takes; nil when either is no number.
    package var summary: (top: Token, logSumExp: Double)? {
        guard let (token, largest) = top, largest > -.infinity else { return nil }
        let sum = Double(largest) + log(scaledSum(maximum: largest, scale: 1))
        return sum.isFinite ? (token, sum) : nil
    }

    /// log-softmax of one entry, nats; NaN when an entry is NaN.
    public func logProbability(of token: Token) -> Double { Double(logits[Int(token)]) - logSumExp }

    /// Σ exp((logit − maximum) · scale).
    private func scaledSum(maximum: Float, scale: Float) -> Double {
        var total = 0.0
        for start in stride(from: 0, to: logits.count, by: Self.block) {
            total += blockSum(from: start, maximum: maximum, scale: scale)
        }
        return total
    }

    /// Entries that are summed in Float before the sum moves to Double, where rounding does not add up.
    private static let block = 512

    private func blockSum(from start: Int, maximum: Float, scale: Float) -> Double {
        guard let base = logits.baseAddress else { return 0 }
        let end = min(start + Self.block, logits.count)
        var partial = Vector(repeating: 0)
        var index = start
        while index + Self.width <= end {
            partial += Self.exponential((load(base + index) - maximum) * scale)
            index += Self.width
        }
        var sum = Double(partial.sum())
        while index < end {
            sum += Double(exp((base[index] - maximum) * scale))
            index += 1
        }
        return sum
    }

    /// The token at which the cumulative probability of softmax(logits / temperature), in order of token ids,
    /// first exceeds `uniform` in (0, 1). Nil when an entry is NaN.
    public func sample(temperature: Float, uniform: Double) -> Token? {
        guard let largest = top?.logit, largest > -.infinity else { return nil }
        let scale = 1 / temperature
        let sum = scaledSum(maximum: largest, scale: scale)
        guard sum.isFinite else { return nil }
        let target = uniform * sum
        var cumulative = 0.0
        var last: Token?
        for start in stride(from: 0, to: logits.count, by: Self.block) {
            let block = blockSum(from: start, maximum: largest, scale: scale)
            if cumulative + block <= target {
                cumulative += block
                continue
            }
            for index in start..<min(start + Self.block, logits.count) where logits[index] > -.infinity {
                cumulative += Double(exp((logits[index] - largest) * scale))
                last = Token(index)
                if cumulative > target { return last }
            }
        }
        // Rounding left the target a hair above the sum.
        return last ?? top?.token
    }

    private func load(_ pointer: UnsafePointer<Float>) -> Vector {
        UnsafeRawPointer(pointer).loadUnaligned(as: Vector.self)
    }

    /// The row with −∞ for the tokens outside of a set, while `body` runs; the row itself without one.
    package func restricted<Result>(to allowed: TokenSet?, _ body: (LogitRow) throws -> Result) rethrows -> Result {
        guard let allowed else { return try body(self) }
        let kept = logits.enumerated().map { allowed.contains(Token($0.offset)) ? $0.element : -.infinity }
        return try kept.withUnsafeBufferPointer { try body(LogitRow($0)) }
    }

    /// The `count` most likely tokens, most likely first, equal logits by token id; all tokens when there are fewer.
    public func candidates(count: Int) -> [Candidate] { candidates(count: count, normaliser: logSumExp) }

    /// The same when ``logSumExp`` is known.
    package func candidates(count: Int, normaliser: Double) -> [Candidate] {
        TopK.indices(count: count, of: logits).map {
            Candidate(token: Token($0), logProbability: Double(logits[$0]) - normaliser)
        }
    }

    /// exp of each lane for arguments ≤ 0, relative error below 2e-7; below −87 it stays at exp(−87); NaN gives NaN.
    ///
    /// Cody and Waite's reduction to |r| ≤ log 2 / 2, then the polynomial of the Cephes library's expf.
    @inline(__always)
    private static func exponential(_ argument: Vector) -> Vector {
        let x = argument.replacing(with: -87, where: argument .< -87)
        // Adding 1.5·2²³ rounds to an integer, which then stands in the low bits.
        let rounder: Float = 12_582_912
        let shifted = x * 1.442_695_04 + rounder
        let n = shifted - rounder
        let r = x - n * 0.693_359_375 + n * 2.121_944_4e-4
        var p = Vector(repeating: 1.987_569_15e-4)
        p = p * r + 1.398_199_95e-3
        p = p * r + 8.333_451_9e-3
        p = p * r + 4.166_579_6e-2
        p = p * r + 1.666_666_55e-1
        p = p * r + 5.000_000_1e-1
        p = p * r * r + r + 1
        let exponent = unsafeBitCast(shifted, to: SIMD8<Int32>.self) &- Int32(bitPattern: rounder.bitPattern)
        return p * unsafeBitCast((exponent &+ 127) &<< 23, to: Vector.self)
    }
}
