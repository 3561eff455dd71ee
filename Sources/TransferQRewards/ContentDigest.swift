import Foundation
import TransferQ
import TransferQDigest

/// SHA-256 of files' contents, each file read once.
public struct ContentDigest: Sendable {
    private var known: [String: String] = [:]

    public init() {}

    /// Whether `path` leads to a file with a content that stays: no folder, pipe, socket or device.
    public static func isRegularFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The hash of a file, in hexadecimal.
    ///
    /// - Throws: ``RewardError/unreadable(path:)``, or `CancellationError` where the task is cancelled meanwhile.
    public mutating func of(_ path: String) throws -> String {
        if let digest = known[path] { return digest }
        guard Self.isRegularFile(path), let file = FileHandle(forReadingAtPath: path) else {
            throw RewardError.unreadable(path: path)
        }
        var hash = SHA256()
        do {
            while let block = try file.read(upToCount: 1 << 20), !block.isEmpty {
                try Task.checkCancellation()
                hash.update(data: block)
            }
            try file.close()
        } catch let error as CancellationError { throw error } catch { throw RewardError.unreadable(path: path) }
        let digest = hash.finalize().hexadecimal
        known[path] = digest
        return digest
    }
}
