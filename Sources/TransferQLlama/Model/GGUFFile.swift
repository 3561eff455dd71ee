import Foundation
import TransferQ
import TransferQDigest
import TransferQRewards

/// What can be told of a GGUF file without llama.cpp.
public enum GGUFFile {
    /// Checks that there is a readable file that begins like GGUF.
    ///
    /// - Throws: ``LlamaError`` otherwise.
    public static func check(_ path: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw LlamaError.noSuchFile(path: path)
        }
        guard !isDirectory.boolValue else { throw LlamaError.isDirectory(path: path) }
        // Reading a pipe would wait for somebody to write into it.
        guard RegularFile.exists(path) else { throw LlamaError.notRegularFile(path: path) }
        guard let file = FileHandle(forReadingAtPath: path) else { throw LlamaError.unreadable(path: path) }
        let magic: Data?
        do { magic = try file.read(upToCount: 4) } catch { throw LlamaError.unreadable(path: path) }
        guard magic == Data("GGUF".utf8) else { throw LlamaError.notGGUF(path: path) }
    }

    /// The files of a model that is split as `NAME-00001-of-00003.gguf`, in order; `path` alone for any other.
    ///
    /// llama.cpp finds the parts by their names, beside the one that it is given.
    public static func parts(of path: String) -> [String] {
        guard let match = path.firstMatch(of: /^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$/), let count = Int(match.3),
            (2...999).contains(count)
        else { return [path] }
        func padded(_ number: Int) -> String {
            let digits = "\(number)"
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        let parts = (1...count).map { "\(match.1)-\(padded($0))-of-\(match.3).gguf" }
        return parts.allSatisfy { FileManager.default.fileExists(atPath: $0) } ? parts : [path]
    }

    /// Tells files, as they are now, and this llama.cpp from others, without reading the files.
    ///
    /// - Parameter more: what else shall make a difference.
    /// - Throws: ``LlamaError/unreadable(path:)``.
    static func identity(_ files: [String], _ more: String = "") throws -> String {
        var hash = SHA256()
        for file in files {
            let path = URL(filePath: file).resolvingSymlinksInPath().path
            let attributes: [FileAttributeKey: Any]
            do { attributes = try FileManager.default.attributesOfItem(atPath: path) } catch {
                throw LlamaError.unreadable(path: file)
            }
            let changed = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            let size = (attributes[.size] as? NSNumber)?.intValue ?? 0
            let inode = (attributes[.systemFileNumber] as? NSNumber)?.intValue ?? 0
            hash.update(data: Data("\(path)|\(size)|\(changed)|\(inode)|\(LlamaLibrary.version)\n".utf8))
        }
        hash.update(data: Data(more.utf8))
        return hash.finalize().hexadecimal
    }

    /// Bytes of a file, or of the one that a link leads to.
    ///
    /// - Throws: ``LlamaError/unreadable(path:)``.
    public static func size(_ path: String) throws -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { throw LlamaError.unreadable(path: path) }
        return Int(status.st_size)
    }

    /// SHA-256 of a file, in hexadecimal, worked out on a thread of its own.
    ///
    /// - Throws: ``LlamaError/unreadable(path:)``, or `CancellationError`.
    public static func sha256(of path: String) async throws -> String {
        try await BlockingWork.run { signal in
            try sha256(path) { if signal.isRaised { throw CancellationError() } }
        }
    }

    /// What tells the content of a file from that of others: beginnings of the hashes of its parts.
    ///
    /// - Throws: as ``sha256(of:)``.
    public static func digest(of path: String) async throws -> String {
        var digests: [String] = []
        for part in parts(of: path) { digests.append(String(try await sha256(of: part).prefix(16))) }
        return digests.joined(separator: " ")
    }

    /// SHA-256 of a file, in hexadecimal; blocks while it reads.
    ///
    /// - Throws: ``LlamaError/unreadable(path:)``.
    public static func sha256(_ path: String) throws -> String { try sha256(path, check: {}) }

    /// - Parameter check: called between blocks; its `CancellationError` ends the reading.
    private static func sha256(_ path: String, check: () throws -> Void) throws -> String {
        guard RegularFile.exists(path), let file = FileHandle(forReadingAtPath: path) else {
            throw LlamaError.unreadable(path: path)
        }
        var hash = SHA256()
        do {
            while let block = try file.read(upToCount: 1 << 20), !block.isEmpty {
                hash.update(data: block)
                try check()
            }
        } catch let error as CancellationError { throw error } catch { throw LlamaError.unreadable(path: path) }
        return hash.finalize().hexadecimal
    }
}
