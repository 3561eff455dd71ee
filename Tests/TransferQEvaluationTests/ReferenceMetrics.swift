import Foundation

/// What reference_metrics.py worked out, apart from the code here.
struct ReferenceMetrics: Decodable {
    struct Entry: Decodable {
        let text: String
        let words: [String]
        let repetition: [Double]
        let diversity: Double
        let tokens: [Int32]
    }

    struct Judgements: Decodable {
        let lengths: [Double]
        let outcomes: [Double]
        let lengthControlled: Double
    }

    let texts: [Entry]
    let distinct: [Double]
    let embeddings: Data
    let judgements: Judgements

    static let all: ReferenceMetrics = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "reference_metrics.json")
        do { return try JSONDecoder().decode(ReferenceMetrics.self, from: Data(contentsOf: file)) } catch {
            fatalError("\(file.path) belongs to these tests: \(error)")
        }
    }()

    static let width = 384

    /// The embedding of a text.
    func embedding(_ number: Int) -> [Float] {
        embeddings.withUnsafeBytes { bytes in
            (0..<Self.width).map { place in
                let offset = 4 * (number * Self.width + place)
                return Float(
                    bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            }
        }
    }
}
