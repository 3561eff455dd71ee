import Foundation

/// One tensor out of a checkpoint in Hugging Face's safetensors format: a file, or a folder of them with an index.
public struct Safetensors: Sendable {
    public struct Tensor: Sendable {
        public let name: String
        public let shape: [Int]
        public let values: [Float]
    }

    private struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let offsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case offsets = "data_offsets"
        }
    }

    private let path: String
    private let files: [String]

    /// - Throws: ``RewardError/badCheckpoint(path:reason:)`` when there is none.
    public init(path: String) throws {
        self.path = path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw RewardError.badCheckpoint(path: path, reason: "there is no such file or folder")
        }
        guard isFolder.boolValue else {
            files = [path]
            return
        }
        let names = try? FileManager.default.contentsOfDirectory(atPath: path)  // an unreadable folder has no files
        files = (names ?? []).filter { $0.hasSuffix(".safetensors") }.sorted().map { "\(path)/\($0)" }
        guard !files.isEmpty else {
            throw RewardError.badCheckpoint(path: path, reason: "the folder holds no .safetensors file")
        }
    }

    /// The first of `names` that there is; nil without one.
    ///
    /// - Throws: ``RewardError/badCheckpoint(path:reason:)`` for a damaged file or an unknown number format.
    public func tensor(_ names: [String]) throws -> Tensor? {
        for name in names {
            for file in files { if let found = try tensor(name, in: file) { return found } }
        }
        return nil
    }

    private func tensor(_ name: String, in file: String) throws -> Tensor? {
        func damaged(_ reason: String) -> RewardError { .badCheckpoint(path: file, reason: "\(reason); get it again") }
        guard let handle = FileHandle(forReadingAtPath: file) else { throw damaged("it cannot be read") }
        defer { try? handle.close() }  // it was only read
        do {
            let end = try handle.seekToEnd()
            try handle.seek(toOffset: 0)
            guard let head = try handle.read(upToCount: 8), head.count == 8 else { throw damaged("it is cut") }
            let length = head.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * UInt64($1.offset)) }
            guard length < 1 << 28, length + 8 <= end, let header = try handle.read(upToCount: Int(length)) else {
                throw damaged("its header does not fit")
            }
            guard let object = try? JSONSerialization.jsonObject(with: header) as? [String: Any] else {
                throw damaged("its header is no JSON")
            }
            guard let description = object[name] else { return nil }
            let entry = try JSONDecoder().decode(
                Entry.self, from: JSONSerialization.data(withJSONObject: description))
            let widths = ["F32": 4, "F16": 2, "BF16": 2, "F64": 8]
            guard let width = widths[entry.dtype] else {
                throw RewardError.badCheckpoint(
                    path: file, reason: "\(name) has the number format \(entry.dtype); store it as F32, F16 or BF16")
            }
            // No head has more numbers; and sums with what a damaged header says must not overflow.
            var count = 1
            for extent in entry.shape {
                guard extent >= 0, extent <= 1 << 26, count * extent <= 1 << 26 else {
                    throw damaged("the shape of \(name) does not fit")
                }
                count *= extent
            }
            let offsets = entry.offsets
            guard offsets.count == 2, offsets[0] >= 0, offsets[1] >= offsets[0],
                offsets[1] - offsets[0] == count * width, UInt64(offsets[1]) <= end - 8 - length
            else { throw damaged("the place of \(name) does not fit") }
            try handle.seek(toOffset: 8 + length + UInt64(offsets[0]))
            guard let data = try handle.read(upToCount: count * width), data.count == count * width else {
                throw damaged("\(name) is cut")
            }
            return Tensor(name: name, shape: entry.shape, values: Self.floats(data, dtype: entry.dtype))
        } catch let error as RewardError { throw error } catch { throw damaged("\(name) cannot be read") }
    }

    /// Little-endian numbers as floats.
    private static func floats(_ data: Data, dtype: String) -> [Float] {
        data.withUnsafeBytes { bytes in
            switch dtype {
            case "F16":
                (0..<(data.count / 2)).map {
                    half(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)))
                }
            case "BF16":
                (0..<(data.count / 2)).map {
                    let bits = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self))
                    return Float(bitPattern: UInt32(bits) << 16)
                }
            case "F64":
                (0..<(data.count / 8)).map {
                    let bits = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))
                    return Float(Double(bitPattern: bits))
                }
            default:
                (0..<(data.count / 4)).map {
                    let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))
                    return Float(bitPattern: bits)
                }
            }
        }
    }

    /// IEEE half precision; `Float16` is not on every platform.
    static func half(_ bits: UInt16) -> Float {
        let sign: Float = bits & 0x8000 == 0 ? 1 : -1
        let exponent = Int(bits >> 10) & 0x1F
        let fraction = Float(bits & 0x3FF)
        switch exponent {
        case 0: return sign * fraction * Float(sign: .plus, exponent: -24, significand: 1)
        case 31: return fraction == 0 ? sign * .infinity : .nan
        default: return sign * Float(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
        }
    }
}
