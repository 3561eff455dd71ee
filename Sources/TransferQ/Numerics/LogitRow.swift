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

    private static let width = 16

    /// The largest logit and the lowest token id that has it, or nil when no entry is a number.
    public var top: (token: Token, logit: Float)? {
        guard let base = logits.baseAddress else { return nil }
        let count = logits.count
        var maxima = SIMD16<Float>(repeating: -.infinity)
        var index = 0
        while index + Self.width <= count {
            let values = UnsafeRawPointer(base + index).loadUnaligned(as: SIMD16<Float>.self)
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
        while index < count {
            if base[index] == largest { return (Token(index), largest) }
            index += 1
        }
        return nil
    }

    /// log Σ exp(logits) in nats, to a relative error of about 1e-7 in the sum; NaN when an entry is NaN.
    public var logSumExp: Double {
        guard let largest = top?.logit, largest > -.infinity else { return .nan }
        return Double(largest) + log(scaledSum(maximum: largest, temperature: 1))
    }

    /// Σ exp((logit − maximum) / temperature).
    func scaledSum(maximum: Float, temperature: Float) -> Double {
        guard let base = logits.baseAddress else { return 0 }
        let scale = 1 / temperature
        var total = 0.0
        var partial = SIMD16<Float>(repeating: 0)
        var index = 0
        while index + Self.width <= logits.count {
            let values = UnsafeRawPointer(base + index).loadUnaligned(as: SIMD16<Float>.self)
            partial += Self.exponential((values - maximum) * scale)
            index += Self.width
            if index & 1023 == 0 {  // move to Double before Float rounding can add up
                total += Double(partial.sum())
                partial = SIMD16<Float>(repeating: 0)
            }
        }
        total += Double(partial.sum())
        while index < logits.count {
            total += Double(exp((base[index] - maximum) * scale))
            index += 1
        }
        return total
    }

    /// The token at which the cumulative probability of softmax(logits / temperature), in order of token ids,
    /// first exceeds `uniform` in (0, 1). Nil when an entry is NaN.
    func sample(temperature: Float, uniform: Double) -> Token? {
        guard let base = logits.baseAddress, let largest = top?.logit else { return nil }
        let scale = 1 / temperature
        let sum = scaledSum(maximum: largest, temperature: temperature)
        guard sum.isFinite else { return nil }
        let target = uniform * sum
        var cumulative = 0.0
        var last: Token = 0
        var index = 0
        while index + Self.width <= logits.count {
            let values = UnsafeRawPointer(base + index).loadUnaligned(as: SIMD16<Float>.self)
            let weights = Self.exponential((values - maximum(largest)) * scale)
            let block = Double(weights.sum())
            if cumulative + block > target {
                for lane in 0..<Self.width where weights[lane] > 0 {
                    cumulative += Double(weights[lane])
                    last = Token(index + lane)
                    if cumulative > target { return last }
                }
            } else {
                if block > 0 { last = Token(index + Self.width - 1) }
                cumulative += block
            }
            index += Self.width
        }
        while index < logits.count {
            cumulative += Double(exp((base[index] - largest) * scale))
            last = Token(index)
            if cumulative > target { return last }
            index += 1
        }
        // Rounding left the target a hair above the sum.
        return last
    }

    private func maximum(_ value: Float) -> SIMD16<Float> { SIMD16(repeating: value) }

    /// The `count` most likely tokens, most likely first, equal logits by token id; all tokens when there are fewer.
    public func candidates(count: Int) -> [Candidate] {
        let normaliser = logSumExp
        return TopK.indices(count: count, of: logits).map {
            Candidate(token: Token($0), logProbability: Double(logits[$0]) - normaliser)
        }
    }

    /// exp of each lane for arguments ≤ 0, relative error below 3e-7; arguments below −87 give 0; NaN gives NaN.
    static func exponential(_ x: SIMD16<Float>) -> SIMD16<Float> {
        // Adding and taking away 1.5·2²³ rounds to an integer without a call per lane.
        let rounder: Float = 12_582_912
        let clamped = x.replacing(with: -88, where: x .< -88)
        let n = (clamped * 1.442_695_04 + rounder) - rounder
        let r = clamped - n * 0.693_359_375 + n * 2.121_944_4e-4
        var p = SIMD16<Float>(repeating: 1.987_569_15e-4)
        p = p * r + 1.398_199_95e-3
        p = p * r + 8.333_451_9e-3
        p = p * r + 4.166_579_6e-2
        p = p * r + 1.666_666_55e-1
        p = p * r + 5.000_000_1e-1
        p = p * r * r + r + 1
        let bits = SIMD16<Int32>(truncatingIfNeeded: SIMD16<Int32>(n.replacing(with: 0, where: n .!= n)))
        let power = unsafeBitCast((bits &+ 127) &<< 23, to: SIMD16<Float>.self)
        return (p * power).replacing(with: 0, where: x .< -87)
    }
}
