import Foundation

/// Lets programs that would make the same file take turns: a lock file beside it, held by at most one of them.
///
/// The lock ends with ``release()``, or with the last process that has the file open: a child that was handed ``handle``
/// keeps it for as long as it runs, even when its parent was killed.
final class FileLock: Sendable {
    private let path: String
    /// The open lock file.
    let handle: FileHandle
    /// What the last holder that this one waited for was about; nil when nobody had to be waited for.
    let predecessor: String?

    private init(path: String, handle: FileHandle, predecessor: String?) {
        self.path = path
        self.handle = handle
        self.predecessor = predecessor
    }

    /// Waits for its turn.
    ///
    /// - Parameters:
    ///   - target: the file that is going to be made.
    ///   - purpose: told to those who wait for this holder.
    ///   - wait: called once when somebody else has the lock.
    /// - Throws: ``StoreError/cannotWrite(path:reason:)``, or `CancellationError`.
    static func acquire(for target: URL, purpose: String, wait: () -> Void) async throws -> FileLock {
        let path = target.path + ".lock"
        var predecessor: String?
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else {
                throw StoreError.cannotWrite(path: path, reason: String(cString: strerror(errno)))
            }
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                // The last holder may have removed this file after it was opened here.
                guard isSame(descriptor, path) else { continue }
                try? handle.truncate(atOffset: 0)  // only those who wait would miss it
                try? handle.write(contentsOf: Data(purpose.utf8))  // as above
                return FileLock(path: path, handle: handle, predecessor: predecessor)
            }
            guard errno == EWOULDBLOCK || errno == EINTR else {
                throw StoreError.cannotWrite(
                    path: path, reason: "it cannot be locked, \(String(cString: strerror(errno)))")
            }
            if predecessor == nil { wait() }
            // Nothing can be read of a holder that has just begun.
            predecessor = String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Lets the next one in. The lock file goes.
    func release() {
        unlink(path)
        try? handle.close()  // closed or not, the file is gone
    }

    private static func isSame(_ descriptor: Int32, _ path: String) -> Bool {
        var (own, there) = (stat(), stat())
        return fstat(descriptor, &own) == 0 && stat(path, &there) == 0 && own.st_ino == there.st_ino
            && own.st_dev == there.st_dev
    }
}
