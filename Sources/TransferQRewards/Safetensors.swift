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
    /// The file of every tensor, where an index says so; it decides then, whatever else lies in the folder.
    private let index: [String: String]?

    /// - Parameter path: a file, a folder of files, or the index of one (`….safetensors.index.json`).
    /// - Throws: ``RewardError/badCheckpoint(path:reason:)`` when there is none, or its index names what is not there.
    public init(path: String) throws {
        self.path = path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw RewardError.badCheckpoint(path: path, reason: "there is no such file or folder")
        }
        if !isFolder.boolValue {
            index = path.hasSuffix(Self.indexSuffix) ? try Self.readIndex(path) : nil
            files = index == nil ? [path] : []
            return
        }
        // An unreadable folder has no files.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let indices = names.filter { $0.hasSuffix(Self.indexSuffix) }.sorted()
        if let name = indices.first(where: { $0 == "model" + Self.indexSuffix }) ?? indices.first {
            guard indices.count == 1 || name.hasPrefix("model.") else {
                throw RewardError.badCheckpoint(
                    path: path, reason: "it has the indices \(indices.joined(separator: ", ")); name the one to read")
            }
            index = try Self.readIndex("\(path)/\(name)")
            files = []
            return
        }
        index = nil
        files = names.filter { $0.hasSuffix(".safetensors") }.sorted().map { "\(path)/\($0)" }
        guard !files.isEmpty else {
            throw RewardError.badCheckpoint(path: path, reason: "the folder holds no .safetensors file")
        }
    }

    private static let indexSuffix = ".safetensors.index.json"

    private static func readIndex(_ path: String) throws -> [String: String] {
        struct Index: Decodable {
            let map: [String: String]
            enum CodingKeys: String, CodingKey { case map = "weight_map" }
        }
        let index: Index
        do { index = try JSONDecoder().decode(Index.self, from: Data(contentsOf: URL(filePath: path))) } catch {
            throw RewardError.badCheckpoint(path: path, reason: "the index has no weight_map; get it again")
        }
        let folder = URL(filePath: path).deletingLastPathComponent().path
        for name in Set(index.map.values).sorted() {
            guard !name.hasPrefix("/"), !name.split(separator: "/").contains("..") else {
                throw RewardError.badCheckpoint(
                    path: path, reason: "it names \(name), outside of its folder; get it again")
            }
            guard RegularFile.exists("\(folder)/\(name)") else {
                throw RewardError.badCheckpoint(
                    path: path, reason: "it names \(name), which is not there; get that file")
            }
        }
        return index.map.mapValues { "\(folder)/\($0)" }
    }

    /// The first of `names` that there is; nil without one.
    ///
    /// - Throws: ``RewardError/badCheckpoint(path:reason:)`` for a damaged file, an unknown number format, or a tensor that
    ///   is in several files without an index that says which counts.
    public func tensor(_ names: [String]) throws -> Tensor? {
        for name in names {
            if let index {
                guard let file = index[name] else { continue }
                guard let found = try tensor(name, in: file) else {
                    throw RewardError.badCheckpoint(
                        path: file, reason: "it has no \(name), which the index says is in it; get both again")
                }
                return found
            }
            let found = try files.compactMap { file in try tensor(name, in: file).map { (file: file, tensor: $0) } }
            guard found.count < 2 else {
                let places = found.map { URL(filePath: $0.file).lastPathComponent }.joined(separator: " and ")
                throw RewardError.badCheckpoint(
                    path: path, reason: "\(name) is in \(places), and no index says which counts; name one of the files"
                )
            }
            if let first = found.first { return first.tensor }
        }
        return nil
    }

    /// The names of all tensors, in order.
    ///
    /// - Throws: ``RewardError/badCheckpoint(path:reason:)`` for a damaged file.
    public func names() throws -> [String] {
        if let index { return index.keys.sorted() }
        return try Set(files.flatMap { try header($0).keys }).subtracting(["__metadata__"]).sorted()
    }

    /// The head of a reward model, under one of `names` or as what wraps a model during training calls it: PEFT's
    /// `base_model.model.score.weight`, `module.score.weight`, `score.modules_to_save.default.weight`.
    ///
    /// - Parameter names: as in a model that nothing wraps, in the order in which they are looked for.
    /// - Returns: nil without such a tensor.
    /// - Throws: as ``tensor(_:)``, and when several tensors could be meant.
    public func head(_ names: [String] = usualHeads) throws -> Tensor? {
        if let found = try tensor(names) { return found }
        let all = try self.names()
        for name in names {
            let wrapped = all.filter { Self.unwrapped($0).contains(name) }
            guard wrapped.count < 2 else {
                throw RewardError.badCheckpoint(
                    path: path, reason: "its head may be \(wrapped.joined(separator: " or ")); say which with --tensor")
            }
            if !wrapped.isEmpty { return try tensor(wrapped) }
        }
        return nil
    }

    /// Names of a reward model's head in common use.
    public static let usualHeads = [
        "score.weight", "v_head.summary.weight", "v_head.weight", "reward_head.weight", "value_head.weight",
        "rm_head.weight", "classifier.weight",
    ]

    /// What a tensor may be called in the model that was wrapped.
    private static func unwrapped(_ name: String) -> [String] {
        let wrappers: Set<String> = [
            "base_model", "model", "module", "pretrained_model", "_orig_mod", "_fsdp_wrapped_module",
            "_checkpoint_wrapped_module",
        ]
        let parts = Array(name.split(separator: ".").map(String.init).drop(while: wrappers.contains))
        guard let place = parts.firstIndex(of: "modules_to_save") else { return [parts.joined(separator: ".")] }
        // Behind it comes the name of the adapter, which some versions leave out.
        return [place + 1, place + 2].map { (parts.prefix(place) + parts.dropFirst($0)).joined(separator: ".") }
    }

    /// Whether the checkpoint holds LoRA matrices, which belong to a body of their own.
    public func hasAdapter() throws -> Bool { try names().contains { $0.contains(".lora_A.") } }

    private func tensor(_ name: String, in file: String) throws -> Tensor? {
        func damaged(_ reason: String) -> RewardError { .badCheckpoint(path: file, reason: "\(reason); get it again") }
        let (object, length, end) = try read(file)
        guard let description = object[name] else { return nil }
        guard let handle = FileHandle(forReadingAtPath: file) else { throw damaged("it cannot be read") }
        defer { try? handle.close() }  // it was only read
        do {
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

    private func header(_ file: String) throws -> [String: Any] { try read(file).header }

    /// The descriptions of a file's tensors, the length of their text, and that of the file.
    private func read(_ file: String) throws -> (header: [String: Any], length: UInt64, end: UInt64) {
        func damaged(_ reason: String) -> RewardError { .badCheckpoint(path: file, reason: "\(reason); get it again") }
        guard RegularFile.exists(file), let handle = FileHandle(forReadingAtPath: file) else {
            throw damaged("it cannot be read")
        }
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
            return (object, length, end)
        } catch let error as RewardError { throw error } catch { throw damaged("it cannot be read") }
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
