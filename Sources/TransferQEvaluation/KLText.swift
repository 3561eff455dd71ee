public import TransferQ

/// How KL is written: each of its kinds in its own words and under its own name.
extension KLKind {
    /// For a line of figures.
    public func sentence(_ nats: Double) -> String {
        switch self {
        case .divergence: "KL \(nats.fixed(2)) nats"
        case .boundOverSkippedValues: "KL at most \(nats.fixed(2)) nats, values left out being unknown"
        case .boundOfMethod: "KL at most \(nats.fixed(2)) nats by the method's bound"
        case .pointMass: "KL \(nats.fixed(2)) nats as point mass"
        }
    }

    /// For a cell of a column in nats.
    public func cell(_ nats: Double, digits: Int = 2) -> String {
        switch self {
        case .divergence: nats.fixed(digits)
        case .boundOverSkippedValues: "at most \(nats.fixed(digits)) (values left out)"
        case .boundOfMethod: "at most \(nats.fixed(digits)) (method's bound)"
        case .pointMass: "\(nats.fixed(digits)) (point mass)"
        }
    }
}

/// A sum of KL in JSON, under the name of what it is; the other names are null.
public struct KLFields: Encodable, Sendable {
    public let nats: Double?
    public let kind: KLKind

    public enum CodingKeys: String, CodingKey, CaseIterable {
        case divergence = "kl"
        case boundOverSkippedValues = "klBoundOverSkippedValues"
        case boundOfMethod = "klBoundOfMethod"
        case pointMass = "klOfPointMass"

        public var kind: KLKind {
            switch self {
            case .divergence: .divergence
            case .boundOverSkippedValues: .boundOverSkippedValues
            case .boundOfMethod: .boundOfMethod
            case .pointMass: .pointMass
            }
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        for key in CodingKeys.allCases { try container.encode(key.kind == kind ? nats : nil, forKey: key) }
    }
}
