import Foundation

/// Lets one program at a time write into a run folder. The lock ends with the process, however that ends.
final class FolderLock: Sendable {
    private let handle: FileHandle

    /// - Throws: ``EvaluationError``: another program has it, or the folder cannot be written.
    init(_ folder: RunFolder) throws {
        let path = folder.url.appending(path: ".lock").path
        do { try FileManager.default.createDirectory(at: folder.url, withIntermediateDirectories: true) } catch {
            throw EvaluationError.cannotWrite(path: folder.url.path, reason: error.localizedDescription)
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw EvaluationError.cannotWrite(path: path, reason: String(cString: strerror(errno)))
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else {
                throw EvaluationError.cannotWrite(
                    path: path, reason: "it cannot be locked, \(String(cString: strerror(errno)))")
            }
            throw EvaluationError.unusableOutput(
                "another program is writing into \(folder.url.path); wait for it, end it, or choose another folder")
        }
    }
}
