import Foundation

/// A folder that goes away with its owner.
final class Scratch: Sendable {
    private let url = FileManager.default.temporaryDirectory.appending(path: "transferq-test-\(UUID().uuidString)")

    deinit { try? FileManager.default.removeItem(at: url) }  // a test may have made nothing

    /// A new folder in it.
    func folder() throws -> URL {
        let folder = url.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }
}
