import Foundation

/// Counter-based randomness: a value is a pure function of the keys it was derived with.
///
/// The decoder derives noise from (seed, conversation, purpose, step, token, rollout, position), never from a shared
/// generator: a result cannot depend on the order in which candidates or rollouts were evaluated, nor on which other
/// answers are worked on at the same time, and no two prompts draw the same numbers.
///
///     let noise = Noise(seed: 7).derived(conversation: messages).derived(.choice).derived(step)
///     let gumbel = noise.derived(Int(token)).gumbel
public struct Noise: Hashable, Sendable {
    /// What a stream of noise is for; keeps choices, rollouts and blocks of one step independent.
    public enum Purpose: Int, Sendable {
        case choice = 1
        case rollout = 2
        case block = 3
        case audit = 4
    }

    private let state: UInt64

    public init(seed: UInt64) {
        state = Noise.mix(seed &+ 0x9E37_79B9_7F4A_7C15)
    }

    private init(state: UInt64) {
        self.state = state
    }

    public func derived(_ key: Int) -> Noise {
        let keyed = Noise.mix(UInt64(bitPattern: Int64(key)) &+ 0x9E37_79B9_7F4A_7C15)
        return Noise(state: Noise.mix(state ^ keyed) &+ 0xD1B5_4A32_D192_ED03)
    }

    public func derived(_ purpose: Purpose) -> Noise { derived(purpose.rawValue) }

    /// Takes a text as a key: its length in bytes, then its bytes, eight at a time.
    package func derived(text: String) -> Noise {
        let bytes = Array(text.utf8)
        var noise = derived(bytes.count)
        for start in stride(from: 0, to: bytes.count, by: 8) {
            let word = bytes[start..<min(start + 8, bytes.count)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            noise = noise.derived(Int(truncatingIfNeeded: word))
        }
        return noise
    }

    /// A uniform number in the open interval (0, 1).
    public var uniform: Double {
        (Double(Noise.mix(state) >> 11) + 0.5) * 0x1p-53
    }

    /// A standard Gumbel number, −log(−log u).
    public var gumbel: Double { -log(-log(uniform)) }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
