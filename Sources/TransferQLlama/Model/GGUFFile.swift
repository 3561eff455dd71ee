import Crypto
import Foundation
import TransferQ

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
        guard let file = FileHandle(forReadingAtPath: path) else { throw LlamaError.unreadable(path: path) }
        let magic: Data?
        do { magic = try file.read(upToCount: 4) } catch { throw LlamaError.unreadable(path: path) }
        guard magic == Data("GGUF".utf8) else { throw LlamaError.notGGUF(path: path) }
    }

    /// SHA-256 of a file, in hexadecimal.
    ///
    /// - Throws: ``LlamaError/unreadable(path:)``.
    public static func sha256(_ path: String) throws -> String {
        guard let file = FileHandle(forReadingAtPath: path) else { throw LlamaError.unreadable(path: path) }
        var hash = SHA256()
        do {
            while let block = try file.read(upToCount: 1 << 20), !block.isEmpty { hash.update(data: block) }
        } catch { throw LlamaError.unreadable(path: path) }
        return hash.finalize().hexadecimal
    }
}
