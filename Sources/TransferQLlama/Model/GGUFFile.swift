import Foundation
import TransferQ
import TransferQDigest

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
